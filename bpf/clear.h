/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Judges a request in the kernel: it is cleared when it is plain and no rule can match it. The tables are those of
 * crates/sd-rules/src/clearing, which says what they mean and holds the same walk in Rust.
 *
 * All lines are judged alike: the walk over one begins in the same state whatever came before, and all that it leaves is
 * which headers it named. So each CPU remembers lines that it has walked. A line that is the same byte for byte is not
 * walked again: most of a browser's are what its last request, and others', had.
 *
 * A loop counter and a state that came from constants would make the verifier follow each round of a loop by
 * itself; they come from a zero that it does not know.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "sd_consts.h"

#define SD_CLEAR_ENTRIES (1U << 22)
#define SD_CLEAR_STATE (SD_CLEAR_ENTRIES - 1) /* of an entry: the next state's row */
#define SD_CLEAR_HOST (1U << 22)	      /* the Host header has been named */
#define SD_CLEAR_IN_LONG (1U << 30)  /* what matters in a line of more bytes has been read */
#define SD_CLEAR_IN_LONGER (1U << 31) /* ... of still more */
#define SD_CLEAR_LONG_LINE 100
#define SD_CLEAR_LONGER_LINE 200
#define SD_CLEAR_SHORTEST 24
#define SD_CLEAR_LONGEST 2048
#define SD_CLEAR_STRIDE 32 /* bytes that are summed and hashed at a time */

#define SD_CLEAR_LINE 6	     /* bytes of the shortest line, "a: b" with its end */
#define SD_NEVER 0xffffff    /* steps of a lane that has nothing to walk */

#define SD_MISSED 512 /* lines of a request: SD_CLEAR_LONGEST / SD_CLEAR_LINE; a power of two */
#define SD_TRAVELLED 256
#define SD_HELD_BITS 12
#define SD_GUARDS 256 /* a power of two */
#define SD_LINES 1024 /* that a CPU remembers; a power of two */
#define SD_LINE_SHORTEST 8
#define SD_LINE_LONGEST 240

/*
 * A question about a segment: whether a number of its headers is in a range. The next one is "hit" or "miss", always a
 * later one; behind the last one nothing stands against clearing, and further on the segment travels.
 */
struct sd_guard {
	__u32 low;
	__u32 span; /* the highest less the lowest */
	__u16 field;
	__u16 hit;
	__u16 miss;
	__u16 pad;
};

/* The numbers of a segment, as in crates/sd-rules/src/clearing/guards.rs. */
enum {
	SD_F_SOURCE,
	SD_F_PORT,
	SD_F_LENGTH,
	SD_F_FLAGS,
	SD_F_TTL,
	SD_F_TOS,
	SD_F_ID,
	SD_F_WINDOW,
	SD_F_ACK,
	SD_F_SEQ,
	SD_F_FRAGMENT,
	SD_F_MAX = 16 /* a power of two */
};

/* Of a service: first rows of its automaton; start 0: its requests are not cleared. How many guards it has. */
struct sd_begin {
	__u32 start;
	__u32 line;
	__u32 guards;
	__u32 pad;
};

/*
 * Map "clearing". Who writes the tables makes "sequence" odd, writes, and makes it even again; 0: there are none. A walk
 * counts only if the number was the same and even before and after it.
 */
struct sd_clearing {
	__u64 sequence;
	__u64 held_until; /* ns: the latest of those below */
	struct sd_begin begin[SD_SERVICES];
	__u8 classes[SD_SERVICES][256];
	__u64 seal_mix; /* odd, and secret like the next: keys of the hashes of cleared requests */
	__u64 seal_key[SD_CLEAR_LONGEST / 8];
	__u64 travelled[SD_TRAVELLED][2]; /* the inspector's: reason and count */
	__u64 held[1 << SD_HELD_BITS]; /* ns, by a hash of the source: until then nothing of it is cleared */
	struct sd_guard guards[SD_SERVICES][SD_GUARDS];
};

struct sd_automata {
	__u32 entry[SD_CLEAR_ENTRIES + 256]; /* so that a row and a class need no bound together */
};

/* A line that was walked from a line's beginning to the next one's. */
struct sd_line {
	__u64 stamp; /* by which tables, and whether it was a request's first line; 0: there is none */
	__u32 named; /* the bits of the headers that it names, as in an entry */
	__u16 next;  /* which line came behind it the last time */
	__u8 length;
	__u8 used; /* since it was last spared */
	__u64 word[SD_LINE_LONGEST / 8];
};

/* Map "lines", an element for each CPU. */
struct sd_lines {
	struct sd_line line[SD_LINES]; /* in pairs, by their hash; the first is none, "next" of it a request's first line */
};

/* A line of this request that is not remembered. */
struct sd_missed {
	__u16 at;
	__u16 length;
	__u16 place;
	__u16 pad;
};

struct sd_lane {
	__u32 line; /* number of the line that is walked, from 1; 0: none */
	__u32 at;
	__u32 left;
	__u32 state;
	__u32 named;
};

struct sd_scratch {
	__u64 sum;  /* of the payload's 32-bit words, for its checksum */
	__u64 hash; /* of the payload */
	__u32 n_missed; /* lines that are not remembered, and how many of them have been taken up */
	__u32 n_walked;
	__u32 seen; /* headers that were named, and those that were twice */
	__u32 twice;
	struct sd_lane lane[2];
	__u32 number[SD_F_MAX]; /* of the segment that is judged */
	struct sd_missed missed[SD_MISSED];
	union {
		__u8 byte[2 * SD_CLEAR_LONGEST + SD_LINE_LONGEST];
		__u64 word[(2 * SD_CLEAR_LONGEST + SD_LINE_LONGEST) / 8];
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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load */
	__type(key, __u32);
	__type(value, struct sd_lines);
} lines SEC(".maps");

/* Answers of sd_judge(). */
enum { SD_CLEARED, SD_NOT_CLEARED, SD_GUARDED, SD_CLEARING_OFF };

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

/* The payload from here on; SD_LINE_LONGEST bytes can be read. */
static __always_inline const __u8 *sd_from(const struct sd_scratch *s, __u32 at)
{
	return &s->byte[sd_bound(at, 2 * SD_CLEAR_LONGEST - 1)];
}

/* A proof of this source, or of one with its hash, is outstanding. Nobody else waits for it. */
static __always_inline int sd_held(const struct sd_clearing *c, __be32 source, __u64 now)
{
	__u64 hash = source * c->seal_mix >> (64 - SD_HELD_BITS);

	return now < *(volatile __u64 *)&c->held_until && now < *(volatile __u64 *)&c->held[hash];
}

#define SD_WORD(from, i) (*(const __u64 *)((from) + (i)))
#define SD_FACTOR 0x9e3779b97f4a7c15ULL

/*
 * Sum and hash of the payload, whose last stride is filled up with zeros. The hash is NH (UMAC, RFC 4418) over pairs
 * of 32 bits: two requests of a length have the same one with a chance of 2 to the -32, whoever chooses them.
 */
static __always_inline int sd_sum_and_hash(struct sd_scratch *s, const struct sd_clearing *c, __u32 length)
{
	__u64 sum = sd_zero, hash = sd_zero;
	__u32 i;

	for (i = sd_zero; i < length && sd_may_loop; i += SD_CLEAR_STRIDE) {
		const __u8 *from = sd_from(s, i);
		const __u64 *key = &c->seal_key[sd_bound(i / 8, SD_CLEAR_LONGEST / 8 - SD_CLEAR_STRIDE / 8)];

#pragma unroll
		for (int k = 0; k < SD_CLEAR_STRIDE / 8; k++) {
			__u64 word = SD_WORD(from, 8 * k), mixed = word + key[k];

			sum += (word & 0xffffffff) + (word >> 32);
			hash += (mixed & 0xffffffff) * (mixed >> 32);
		}
	}
	s->sum = sum;
	s->hash = hash * c->seal_mix;
	return i >= length;
}

/* Whether the payload goes on with this line, all of it. A line has no line end but its last byte. */
static __always_inline int sd_same(const __u8 *from, const struct sd_line *line, __u32 length)
{
	const __u8 *known = (const __u8 *)line->word;
	__u64 other = 0;

	if (length < 16) {
		__u32 last = sd_bound(length - 8, 7);

		return SD_WORD(from, 0) == SD_WORD(known, 0) && SD_WORD(from + last, 0) == SD_WORD(known + last, 0);
	}
	if (length < 32) {
		__u32 last = sd_bound(length - 16, 15);

		return SD_WORD(from, 0) == SD_WORD(known, 0) && SD_WORD(from, 8) == SD_WORD(known, 8) &&
		       SD_WORD(from + last, 0) == SD_WORD(known + last, 0) &&
		       SD_WORD(from + last, 8) == SD_WORD(known + last, 8);
	}
	length = sd_bound(length - 32, 255);
	if (length > SD_LINE_LONGEST - 32)
		return 0;
#pragma unroll
	for (__u32 i = 0; i < SD_LINE_LONGEST - 32; i += 32) {
		if (i >= length)
			break;
		other |= SD_WORD(from, i) ^ SD_WORD(known, i);
		other |= SD_WORD(from, i + 8) ^ SD_WORD(known, i + 8);
		other |= SD_WORD(from, i + 16) ^ SD_WORD(known, i + 16);
		other |= SD_WORD(from, i + 24) ^ SD_WORD(known, i + 24);
	}
	from += length;
	known += length;
	other |= SD_WORD(from, 0) ^ SD_WORD(known, 0);
	other |= SD_WORD(from, 8) ^ SD_WORD(known, 8);
	other |= SD_WORD(from, 16) ^ SD_WORD(known, 16);
	other |= SD_WORD(from, 24) ^ SD_WORD(known, 24);
	return !other;
}

/* The length of the line that begins here, its end with it, and its hash. */
static __always_inline __u32 sd_line_end(const struct sd_scratch *s, __u32 at, __u32 end, __u64 *hash)
{
	__u32 i = at + sd_zero;
	__u64 h = sd_zero, word, found;

	while (i < end && sd_may_loop) {
		word = SD_WORD(sd_from(s, i), 0);
		found = word ^ 0x0a0a0a0a0a0a0a0aULL;
		found = (found - 0x0101010101010101ULL) & ~found & 0x8080808080808080ULL;
		if (found) {
			/* Little endian: the lowest byte comes first, and bits above the lowest may be wrong. */
			found ^= found - 1;
			h = (h ^ (word & found)) * SD_FACTOR;
			i += (found & 0x0101010101010101ULL) * 0x0101010101010101ULL >> 56;
			break;
		}
		h = (h ^ word) * SD_FACTOR;
		i += 8;
	}
	*hash = h ^ h >> 32;
	return i - at;
}

/* The place of a line when it is remembered, else 0. */
static __always_inline __u32 sd_recall(const struct sd_lines *all, const __u8 *from, __u32 place, __u32 length, __u64 stamp)
{
	const struct sd_line *line = &all->line[sd_bound(place, SD_LINES - 1)];

	return line->stamp == stamp && line->length == length && sd_same(from, line, length) ? place : 0;
}

/*
 * A line that is not the one that was expected: [length:16][where it is remembered or will be:16]; 0: it is not plain.
 * When it is not remembered it is left to sd_walk(). Functions of their own are verified once, not in each state of
 * a caller.
 */
__noinline __u32 sd_another_line(__u32 at, __u32 end, __u64 stamp)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id(), place, length, known;
	struct sd_scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct sd_lines *all = bpf_map_lookup_elem(&lines, &cpu);
	struct sd_line *line, *other;
	struct sd_missed *missed;
	__u64 hash;

	if (!s || !all)
		return 0;
	length = sd_line_end(s, at, end, &hash) + sd_zero;
	if (length > end - at || length < SD_CLEAR_LINE)
		return 0;
	/* In the place of the one that nobody asked for since it was spared the last time; place 0 is none. */
	place = (__u32)hash & (SD_LINES - 2);
	line = &all->line[sd_bound(place, SD_LINES - 1)];
	other = &all->line[sd_bound(place | 1, SD_LINES - 1)];
	known = sd_recall(all, sd_from(s, at), place, length, stamp);
	if (!known)
		known = sd_recall(all, sd_from(s, at), place | 1, length, stamp);
	if (known) {
		all->line[sd_bound(known, SD_LINES - 1)].used = 1;
		return length << 16 | known;
	}
	if (place && (!line->used || other->used)) {
		other->used = 0;
	} else {
		line->used = 0;
		place |= 1;
	}
	missed = &s->missed[sd_bound(s->n_missed, SD_MISSED - 1)];
	s->n_missed += 1;
	missed->at = at;
	missed->length = length;
	missed->place = place;
	return length << 16 | place;
}

static __always_inline void sd_copy(struct sd_line *line, const __u8 *from, __u32 begin, __u32 end)
{
#pragma unroll
	for (__u32 i = begin; i < end; i += 8)
		line->word[i / 8] = SD_WORD(from, i);
}

/* Remember a line that was walked. Nobody but this CPU reads it. */
__noinline int sd_remember(__u32 which, __u64 stamp, __u32 named)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id(), length;
	struct sd_scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct sd_lines *all = bpf_map_lookup_elem(&lines, &cpu);
	const struct sd_missed *missed;
	struct sd_line *line;
	const __u8 *from;

	if (!s || !all)
		return 0;
	missed = &s->missed[sd_bound(which, SD_MISSED - 1)];
	length = missed->length;
	if (length < SD_LINE_SHORTEST || length > SD_LINE_LONGEST)
		return 0;
	from = sd_from(s, missed->at);
	line = &all->line[sd_bound(missed->place, SD_LINES - 1)];
	line->stamp = missed->at ? stamp & ~1ULL : stamp;
	line->named = named;
	line->length = length;
	line->used = 0;
	sd_copy(line, from, 0, 48);
	if (length > 48)
		sd_copy(line, from, 48, 112);
	if (length > 112)
		sd_copy(line, from, 112, SD_LINE_LONGEST);
	return 0;
}

/*
 * A lane begins the next line. 0 when its last one is not plain, or has what a rule needs. Lanes without a line walk on
 * where nothing comes of it.
 */
__noinline int sd_next_line(__u32 which, __u32 service, __u64 stamp)
{
	__u32 zero = 0, ready, named;
	struct sd_clearing *c = bpf_map_lookup_elem(&clearing, &zero);
	struct sd_scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	const struct sd_missed *missed;
	struct sd_lane *lane;

	if (!c || !s)
		return 0;
	service &= SD_SERVICES - 1;
	ready = c->begin[service].line & SD_CLEAR_STATE;
	lane = &s->lane[which & 1];
	if (lane->line) {
		if ((lane->state & SD_CLEAR_STATE) != ready)
			return 0;
		named = lane->named;
		missed = &s->missed[sd_bound(lane->line - 1, SD_MISSED - 1)];
		if (((named & SD_CLEAR_IN_LONG) && missed->length > SD_CLEAR_LONG_LINE) ||
		    ((named & SD_CLEAR_IN_LONGER) && missed->length > SD_CLEAR_LONGER_LINE))
			return 0;
		named &= ~(SD_CLEAR_STATE | SD_CLEAR_IN_LONG | SD_CLEAR_IN_LONGER);
		s->twice |= s->seen & named;
		s->seen |= named;
		sd_remember(lane->line - 1, stamp, named);
	}
	lane->named = 0;
	if (s->n_walked >= s->n_missed) {
		lane->line = 0;
		lane->at = 0;
		lane->left = SD_NEVER;
		lane->state = 0;
		return 1;
	}
	missed = &s->missed[sd_bound(s->n_walked, SD_MISSED - 1)];
	s->n_walked += 1;
	lane->line = s->n_walked;
	lane->at = missed->at;
	lane->left = missed->length;
	lane->state = missed->at ? ready : c->begin[service].start;
	return 1;
}

#define SD_STEP(k)                                                                                \
	state##k = table->entry[sd_bound(state##k, SD_CLEAR_STATE) + classes[*sd_from(s, at##k + i)]]; \
	named##k |= state##k;

/*
 * Walk the lines that were not remembered, two at a time, as each step waits for memory. 0 when one of them is not plain,
 * or has what a rule needs.
 */
__noinline int sd_walk(__u32 service, __u64 stamp)
{
	__u32 zero = 0, i, steps, at0, at1, state0, state1, named0, named1;
	struct sd_clearing *c = bpf_map_lookup_elem(&clearing, &zero);
	struct sd_automata *table = bpf_map_lookup_elem(&automata, &zero);
	struct sd_scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct sd_lane *lane0, *lane1;
	const __u8 *classes;

	if (!c || !table || !s)
		return 0;
	classes = c->classes[service & (SD_SERVICES - 1)];
	lane0 = &s->lane[0];
	lane1 = &s->lane[1];
	s->n_walked = 0;
	lane0->line = lane1->line = 0;
	lane0->left = lane1->left = 0;
	while (sd_may_loop) {
		if (!lane0->left && !sd_next_line(0, service, stamp))
			return 0;
		if (!lane1->left && !sd_next_line(1, service, stamp))
			return 0;
		if (!lane0->line && !lane1->line)
			return 1;
		steps = lane0->left < lane1->left ? lane0->left : lane1->left;
		at0 = lane0->at;
		at1 = lane1->at;
		state0 = lane0->state;
		state1 = lane1->state;
		named0 = lane0->named;
		named1 = lane1->named;
		for (i = sd_zero; i < steps && sd_may_loop; i++) {
			SD_STEP(0)
			SD_STEP(1)
		}
		if (i < steps)
			return 0;
		lane0->at = at0 + steps;
		lane1->at = at1 + steps;
		lane0->left -= steps;
		lane1->left -= steps;
		lane0->state = state0;
		lane1->state = state1;
		lane0->named = named0;
		lane1->named = named1;
	}
	return 0;
}

/*
 * Whether a rule that has no content asks for this segment. Its IP header has no options.
 */
__noinline int sd_guarded(struct xdp_md *ctx, __u32 length, __u32 service)
{
	__u32 zero = 0, i, n;
	struct sd_clearing *c = bpf_map_lookup_elem(&clearing, &zero);
	struct sd_scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	__u32 word[10]; /* both headers, as they were sent */

	if (!c || !s || bpf_xdp_load_bytes(ctx, 14, word, sizeof(word)))
		return 1;
	service &= SD_SERVICES - 1;
	for (int k = 0; k < 10; k++)
		word[k] = __builtin_bswap32(word[k]);
	s->number[SD_F_SOURCE] = word[3];
	s->number[SD_F_PORT] = word[5] >> 16;
	s->number[SD_F_LENGTH] = length;
	s->number[SD_F_FLAGS] = word[8] >> 16 & 0xff;
	s->number[SD_F_TTL] = word[2] >> 24;
	s->number[SD_F_TOS] = word[0] >> 16 & 0xff;
	s->number[SD_F_ID] = word[1] >> 16;
	s->number[SD_F_WINDOW] = word[8] & 0xffff;
	s->number[SD_F_ACK] = word[7];
	s->number[SD_F_SEQ] = word[6];
	s->number[SD_F_FRAGMENT] = word[1] >> 13 & 7;
	n = c->begin[service].guards;
	i = sd_zero;
	while (i < n && sd_may_loop) {
		const struct sd_guard *guard = &c->guards[service][sd_bound(i, SD_GUARDS - 1)];
		__u32 number = s->number[sd_bound(guard->field, SD_F_MAX - 1)];

		i = number - guard->low <= guard->span ? guard->hit : guard->miss;
	}
	return i != n;
}

/*
 * Judge `length` bytes at `offset` of the packet. Leaves the payload's sum and hash in the CPU's scratch, so that the
 * caller can verify the checksum; nothing may be cleared without.
 */
__noinline int sd_judge(struct xdp_md *ctx, __u32 offset, __u32 length, __u32 service)
{
	__u32 zero = 0, cpu = bpf_get_smp_processor_id(), at, end, named, seen, twice, before, place;
	__u64 sequence, stamp;
	struct sd_clearing *c = bpf_map_lookup_elem(&clearing, &zero);
	struct sd_scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct sd_lines *all = bpf_map_lookup_elem(&lines, &cpu);

	if (!c || !s || !all)
		return SD_CLEARING_OFF;
	sequence = *(volatile __u64 *)&c->sequence;
	if (!sequence || (sequence & 1))
		return SD_CLEARING_OFF;
	service &= SD_SERVICES - 1;
	if (!c->begin[service].start)
		return SD_CLEARING_OFF;
	if (length < SD_CLEAR_SHORTEST)
		return SD_NOT_CLEARED;
	asm volatile("" : "+r"(length)); /* two comparisons, not one with a difference that the verifier cannot follow */
	if (length > SD_CLEAR_LONGEST)
		return SD_NOT_CLEARED;
	if (c->begin[service].guards && sd_guarded(ctx, length, service))
		return SD_GUARDED;
	at = sd_bound(length / 8, SD_CLEAR_LONGEST / 4 - 1);
	s->word[at] = s->word[at + 1] = s->word[at + 2] = s->word[at + 3] = 0;
	if (bpf_xdp_load_bytes(ctx, offset, s->byte, length))
		return SD_NOT_CLEARED;
	end = length - 4;
	if (*(__u32 *)sd_from(s, end) != 0x0a0d0a0d)
		return SD_NOT_CLEARED;
	if (!sd_sum_and_hash(s, c, length))
		return SD_NOT_CLEARED;

	/* The blank line is left out: it would not be a header line. */
	end = length - 2 + sd_zero;
	stamp = sequence << 8 | service << 1 | 1;
	s->n_missed = 0;
	at = sd_zero;
	before = sd_zero;
	seen = sd_zero;
	twice = sd_zero;
	while (at < end && sd_may_loop) {
		struct sd_line *last = &all->line[sd_bound(before, SD_LINES - 1)], *line;

		place = last->next;
		line = &all->line[sd_bound(place, SD_LINES - 1)];
		if (line->stamp == stamp && sd_same(sd_from(s, at), line, line->length)) {
			named = line->named;
			at += line->length;
			before = place;
		} else {
			__u32 n = s->n_missed, answer = sd_another_line(at, end, stamp);

			if (!answer)
				return SD_NOT_CLEARED;
			at += answer >> 16;
			before = sd_bound(answer, SD_LINES - 1);
			last->next = before;
			named = s->n_missed == n ? all->line[before].named : 0;
		}
		twice |= seen & named;
		seen |= named;
		stamp &= ~1ULL;
	}
	if (at != end)
		return SD_NOT_CLEARED;
	if (s->n_missed) {
		s->seen = seen;
		s->twice = twice;
		if (!sd_walk(service, stamp | 1))
			return SD_NOT_CLEARED;
		seen = s->seen;
		twice = s->twice;
	}
	if (twice || !(seen & SD_CLEAR_HOST))
		return SD_NOT_CLEARED;
	/* Tables that changed meanwhile say nothing. */
	asm volatile("" ::: "memory");
	return *(volatile __u64 *)&c->sequence == sequence ? SD_CLEARED : SD_CLEARING_OFF;
}
