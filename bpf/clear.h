/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Judges a request in the kernel: it is cleared when it is plain and no rule can match it. The tables are those of
 * crates/sd-rules/src/clearing, which says what they mean and holds the same walk in Rust.
 *
 * The payload is copied once and walked twice: in words for the TCP checksum and a hash, then byte by byte over the
 * table. Lines are judged one like the other, so the walk begins at four of them at once: each step waits for memory, and
 * four wait together. A loop counter and a state that came from constants would make the verifier follow each
 * round of the loop by itself; they come from a zero that it does not know.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "sd_consts.h"
#include "sd_siphash.h"

#define SD_CLEAR_ENTRIES (1U << 22)
#define SD_CLEAR_STATE (SD_CLEAR_ENTRIES - 1) /* of an entry: the next state's row */
#define SD_CLEAR_HOST (1U << 22)	      /* the Host header has been named */
#define SD_CLEAR_SHORTEST 24
#define SD_CLEAR_LONGEST 2048
#define SD_CLEAR_ONE_LANE 128 /* shorter requests are walked from their beginning only */

/*
 * Map "clearing". Who writes the tables makes "sequence" odd, writes, and makes it even again; 0: there are none. A walk
 * counts only if the number was the same and even before and after it.
 */
struct sd_clearing {
	__u64 sequence;
	__u64 not_before; /* ns: until then nothing is cleared */
	__u32 start[SD_SERVICES]; /* first rows of a service's automaton; 0: its requests are not cleared */
	__u32 line[SD_SERVICES];
	__u8 classes[SD_SERVICES][256];
};

struct sd_automata {
	__u32 entry[SD_CLEAR_ENTRIES];
};

struct sd_scratch {
	__u64 sum;  /* of the payload's 32-bit words, for its checksum */
	__u64 hash; /* of the payload */
	union {
		__u8 byte[2 * SD_CLEAR_LONGEST + 8];
		__u64 word[SD_CLEAR_LONGEST / 4 + 1];
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sd_clearing);
} clearing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sd_automata);
} automata SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sd_scratch);
} scratch SEC(".maps");

/* Answers of sd_judge(). */
enum { SD_CLEARED, SD_NOT_CLEARED, SD_CLEARING_OFF };

static volatile __u32 sd_zero; /* always 0 */

/* False when the kernel ends a loop that never ends by itself; none of ours comes near. */
#define sd_may_loop                                                        \
	({                                                                 \
		__label__ stop, go;                                        \
		int may = 1;                                               \
		asm volatile goto("may_goto %l[stop]" : : : : stop);       \
		goto go;                                                   \
	stop:                                                              \
		may = 0;                                                   \
	go:;                                                               \
		may;                                                       \
	})

/* A bound that the verifier sees: the compiler may know it, but not leave it out. */
static __always_inline __u32 sd_bound(__u32 index, __u32 mask)
{
	asm volatile("" : "+r"(index));
	return index & mask;
}

#define SD_BYTE(s, i) ((s)->byte[sd_bound(i, 2 * SD_CLEAR_LONGEST - 1)])
#define SD_WORD(s, i) ((s)->word[sd_bound((i) / 8, SD_CLEAR_LONGEST / 4 - 1)])

/* Where the first line behind `from` begins; `end` when none does before it. */
static __always_inline __u32 sd_next_line(const struct sd_scratch *s, __u32 from, __u32 end)
{
	__u32 at = from + sd_zero;

	end += sd_zero;

	while (at < end && sd_may_loop) {
		__u64 word = *(const __u64 *)&SD_BYTE(s, at);

		word ^= 0x0a0a0a0a0a0a0a0aULL;
		word = (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;
		if (word) {
			/* Little endian: the lowest byte comes first, and bits above the lowest may be wrong. */
			if (!(__u32)word) {
				word >>= 32;
				at += 4;
			}
			if (!(word & 0xffff)) {
				word >>= 16;
				at += 2;
			}
			if (!(word & 0xff))
				at += 1;
			return at + 1 < end ? at + 1 : end;
		}
		at += 8;
	}
	return end;
}

#define SD_STEP(k)                                                                                             \
	if (i < length##k) {                                                                                   \
		state##k = table->entry[sd_bound((state##k & SD_CLEAR_STATE) + classes[SD_BYTE(s, begin##k + i)], \
						 SD_CLEAR_STATE)];                                             \
		twice |= seen & state##k;                                                                      \
		seen |= state##k;                                                                              \
	}

/*
 * Judge `length` bytes at `offset` of the packet. Leaves the payload's sum and hash in the CPU's scratch, so that the
 * caller can verify the checksum; nothing may be cleared without.
 */
__noinline int sd_judge(struct xdp_md *ctx, __u32 offset, __u32 length, __u32 service, __u64 key)
{
	__u32 zero = 0, i, last, longest;
	__u32 begin0, begin1, begin2, begin3, length0, length1, length2, length3;
	__u32 state0, state1, state2, state3, seen, twice, line;
	__u64 sequence, sum, high = 0, v0, v1, v2, v3;
	struct sd_clearing *c = bpf_map_lookup_elem(&clearing, &zero);
	struct sd_automata *table = bpf_map_lookup_elem(&automata, &zero);
	struct sd_scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	const __u8 *classes;

	if (!c || !table || !s)
		return SD_CLEARING_OFF;
	sequence = *(volatile __u64 *)&c->sequence;
	if (!sequence || (sequence & 1))
		return SD_CLEARING_OFF;
	service &= SD_SERVICES - 1;
	state0 = c->start[service];
	line = c->line[service];
	if (!state0)
		return SD_CLEARING_OFF;
	if (length < SD_CLEAR_SHORTEST)
		return SD_NOT_CLEARED;
	asm volatile("" : "+r"(length)); /* two comparisons, not one with a difference that the verifier cannot follow */
	if (length > SD_CLEAR_LONGEST)
		return SD_NOT_CLEARED;
	SD_WORD(s, length) = 0;
	if (bpf_xdp_load_bytes(ctx, offset, s->byte, length))
		return SD_NOT_CLEARED;
	last = length - 4;
	if (*(__u32 *)&SD_BYTE(s, last) != 0x0a0d0a0d)
		return SD_NOT_CLEARED;

	sum = sd_zero;
	/* SipHash-1-3: who could make two requests of one hash would get the second to a server unjudged. */
	SD_SIPHASH_BEGIN(v0, v1, v2, v3, key, key);
	for (i = sd_zero; i < length && sd_may_loop; i += 8) {
		__u64 word = SD_WORD(s, i);

		high |= word;
		sum += (word & 0xffffffff) + (word >> 32);
		SD_SIPWORD(v0, v1, v2, v3, word);
	}
	s->sum = sum;
	SD_SIPWORD(v0, v1, v2, v3, (__u64)i << 56);
	v2 ^= 0xff;
	SD_SIPROUND(v0, v1, v2, v3);
	SD_SIPROUND(v0, v1, v2, v3);
	SD_SIPROUND(v0, v1, v2, v3);
	s->hash = v0 ^ v1 ^ v2 ^ v3;
	if (i < length || (high & 0x8080808080808080ULL))
		return SD_NOT_CLEARED;

	/* The blank line is left out: it would not be a header line. */
	last = length - 2 + sd_zero;
	begin0 = sd_zero;
	begin1 = begin2 = begin3 = last;
	if (length >= SD_CLEAR_ONE_LANE) {
		begin1 = sd_next_line(s, length / 4, last);
		begin2 = sd_next_line(s, length / 2, last);
		begin3 = sd_next_line(s, length / 4 * 3, last);
	}
	/* What is known of these numbers would only be more for the verifier to tell apart. */
	begin1 += sd_zero;
	begin2 += sd_zero;
	begin3 += sd_zero;
	length0 = begin1 + sd_zero;
	length1 = begin2 - begin1 + sd_zero;
	length2 = begin3 - begin2 + sd_zero;
	length3 = last - begin3 + sd_zero;
	longest = length0;
	if (length1 > longest)
		longest = length1;
	if (length2 > longest)
		longest = length2;
	if (length3 > longest)
		longest = length3;
	longest += sd_zero;
	classes = c->classes[service];
	state1 = state2 = state3 = line;
	seen = sd_zero;
	twice = sd_zero;
	if (length1 | length2 | length3) {
		for (i = sd_zero; i < longest && sd_may_loop; i++) {
			SD_STEP(0)
			SD_STEP(1)
			SD_STEP(2)
			SD_STEP(3)
		}
	} else {
		for (i = sd_zero; i < longest && sd_may_loop; i++)
			SD_STEP(0)
	}
	if (i < longest)
		return SD_NOT_CLEARED;
	if (((state0 ^ line) | (state1 ^ line) | (state2 ^ line) | (state3 ^ line)) & SD_CLEAR_STATE)
		return SD_NOT_CLEARED;
	if ((twice & ~SD_CLEAR_STATE) || !(seen & SD_CLEAR_HOST))
		return SD_NOT_CLEARED;
	/* Tables that changed meanwhile say nothing. */
	asm volatile("" ::: "memory");
	return *(volatile __u64 *)&c->sequence == sequence ? SD_CLEARED : SD_CLEARING_OFF;
}
