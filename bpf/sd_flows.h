/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The flow table: finding a connection, and a place for a new one. */
#pragma once

#include "sd_common.h"

const volatile __u32 bucket_mask = SD_DEFAULT_BUCKETS - 1; /* set at load with the size of map "flows" */

static __always_inline void mapped(__u8 *out, __be32 address)
{
	__u32 *words = (__u32 *)out;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = address;
}

/*
 * Multiply-shift hashing (Dietzfelbinger, 1996) with secret 64-bit factors: two connections that differ share a bucket
 * with a chance of at most 2 in the number of buckets, whoever chooses them. A quarter of SipHash's time; its outputs
 * are never seen outside, so nothing more is needed.
 */
static __always_inline __u64 flow_hash(const struct sd_config *cfg, const struct packet *p)
{
	__u32 ports = (__u32)p->tcp->source << 16 | p->tcp->dest;

	return cfg->hash_key[0] * p->ip->saddr + cfg->hash_key[1] * ports;
}

static __always_inline struct sd_flow *find_flow(struct sd_bucket *bucket, __u32 tag, const struct packet *p, __u32 *way)
{
	__u32 saddr = p->ip->saddr, daddr = p->ip->daddr;
	__u16 sport = p->tcp->source, dport = p->tcp->dest;

#pragma unroll
	for (int i = 0; i < SD_WAYS; i++) {
		struct sd_flow *f = &bucket->way[i];

		if (READ_ONCE(bucket->tag[i]) != tag)
			continue;
		if (((__u32 *)f->saddr)[3] == saddr && f->sport == sport && ((__u32 *)f->daddr)[3] == daddr &&
		    f->dport == dport && ((__u32 *)f->saddr)[2] == bpf_htonl(0xffff)) {
			*way = i;
			return f;
		}
	}
	return NULL;
}

/*
 * What a flow's place is worth: 0 free, 1 expired, 2 half-open, 3 idle, 4 in use. A flood of SYNs finds only its own kind
 * to push out (2), unless a connection has been idle for SD_EVICT_IDLE_NS in a full set.
 */
static __always_inline __u32 place_worth(const struct sd_config *cfg, __u32 tag, const struct sd_flow *f, __u64 now)
{
	__u64 idle, timeout;
	__u64 owner = READ_ONCE(f->owner);

	if (tag == 0)
		return 0;
	if (tag == 1)
		return 5; /* being written by another CPU */
	idle = since(now, READ_ONCE(f->last_seen));
	timeout = owner & SD_FLAG_CLOSED	? cfg->closed_timeout_ns :
		  owner & SD_FLAG_ESTABLISHED	? cfg->flow_timeout_ns :
						  SD_HALF_OPEN_NS;
	if (idle >= timeout)
		return 1;
	if (!(owner & SD_FLAG_ESTABLISHED))
		return 2;
	return idle >= SD_EVICT_IDLE_NS ? 3 : 4;
}

/*
 * A SYN finds a connection with its addresses and ports: true when a new one takes its place. Servers' resets and closes
 * are not seen here, so the server may know nothing of the old one any more; given a SYN of another one, it would begin anew
 * where the inspector goes on in the middle of a body. While packets come, nobody else's SYN ends it (RFC 5961, section 4).
 *
 * Or the server still has the old one, and keeps to its numbers whatever SYN comes (a reset by the client that it took for
 * a wrong one leaves it there, too). So a new one begins behind all that the server can have got: what it would then wait for
 * comes before what is judged, and is never sent. One that began earlier would be read without its beginning.
 */
static __always_inline int place_is_free(const struct sd_config *cfg, const struct sd_flow *f, __u32 isn, __u64 now)
{
	__u64 owner = READ_ONCE(f->owner), idle = since(now, READ_ONCE(f->last_seen));
	__u32 before = (__u32)READ_ONCE(f->stream) - (isn + 1);

	if (idle >= (owner & SD_FLAG_ESTABLISHED ? cfg->flow_timeout_ns : SD_SYN_KEPT_NS))
		return 1;
	if (owner & SD_FLAG_CLOSED)
		return before >= SD_CLOSED_BEFORE;
	if (before < 1U << 31 || (owner & SD_FLAG_DIVERTED))
		return 0;
	return !(owner & SD_FLAG_ESTABLISHED) || idle >= SD_REOPEN_NS;
}

static __always_inline struct sd_flow *claim_place(const struct sd_config *cfg, struct sd_bucket *bucket, __u64 now,
						   __u32 *way)
{
	__u32 best = 4, chosen = SD_WAYS, old;
	__u64 oldest = ~0ULL;

#pragma unroll
	for (int i = 0; i < SD_WAYS; i++) {
		__u32 worth = place_worth(cfg, READ_ONCE(bucket->tag[i]), &bucket->way[i], now);
		__u64 seen = READ_ONCE(bucket->way[i].last_seen);

		if (worth < best || (worth == best && worth < 4 && seen < oldest)) {
			best = worth;
			oldest = seen;
			chosen = i;
		}
	}
	if (chosen >= SD_WAYS)
		return NULL;
	old = READ_ONCE(bucket->tag[chosen]);
	if (old == 1 || __sync_val_compare_and_swap(&bucket->tag[chosen], old, 1) != old)
		return NULL;
	if (best >= 2)
		count(SD_C_FLOWS_EVICTED);
	*way = chosen;
	return &bucket->way[chosen];
}
