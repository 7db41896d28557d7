/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* TCP options of a segment. */
#pragma once

#include "sd_common.h"

struct tcp_options {
	__u32 tsecr;
	__u16 mss;
	__u8 wscale; /* 0xff: not offered */
	__u8 seen;   /* SD_OPT_* */
	__u32 refused; /* MD5 or AO: our servers would ignore such a segment */
};

struct options_walk {
	__u8 raw[64]; /* 40 in use; a power of two, so that one mask bounds every index */
	__u32 at, length;
	struct tcp_options found;
};

#define RAW(o, i) ((o)->raw[(i) & 63])

static long one_option(__u32 i, void *context)
{
	struct options_walk *o = context;
	__u32 at = o->at;
	__u8 kind, size;

	if (at >= o->length)
		return 1;
	kind = RAW(o, at);
	if (kind == 0)
		return 1;
	if (kind == 1) {
		o->at = at + 1;
		return 0;
	}
	size = RAW(o, at + 1);
	if (at + 1 >= o->length || size < 2 || at + size > o->length)
		return 1;
	if (kind == 2 && size == 4) {
		o->found.mss = RAW(o, at + 2) << 8 | RAW(o, at + 3);
	} else if (kind == 3 && size == 3) {
		o->found.wscale = RAW(o, at + 2) > 14 ? 14 : RAW(o, at + 2);
		o->found.seen |= SD_OPT_WSCALE;
	} else if (kind == 4 && size == 2) {
		o->found.seen |= SD_OPT_SACK;
	} else if (kind == 8 && size == 10) {
		o->found.seen |= SD_OPT_TIMESTAMPS;
		o->found.tsecr = (__u32)RAW(o, at + 6) << 24 | (__u32)RAW(o, at + 7) << 16 |
			   (__u32)RAW(o, at + 8) << 8 | RAW(o, at + 9);
	} else if (kind == 19 || kind == 29) {
		o->found.refused = 1;
	}
	o->at = at + size;
	return 0;
}

/*
 * RFC 9293, section 3.2. A loop by helper: unrolled it has more paths than the verifier walks. A global function, since
 * those are verified once and not for each state that they are called in.
 */
__noinline int walk_options(struct xdp_md *ctx, struct tcp_options *found, __u32 tcp_length)
{
	struct options_walk walk = {.found = {.mss = 536 /* RFC 9293: when the option is absent */, .wscale = 0xff}};
	__u32 length = tcp_length - sizeof(struct sd_tcp);

	if (!found)
		return -1;
	*found = walk.found;
	if (tcp_length <= sizeof(struct sd_tcp))
		return 0;
	if (length > 40)
		return -1;
	if (bpf_xdp_load_bytes(ctx, sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct sd_tcp), walk.raw, length))
		return -1;
	walk.length = length;
	bpf_loop(40, one_option, &walk, 0);
	*found = walk.found;
	return 0;
}
