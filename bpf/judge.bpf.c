// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The judge of clear.h alone, for tests and measurements: all behind headers without options is the request. It is
 * never attached.
 */
#include "clear.h"

#define HEADERS 54 /* Ethernet, IP, TCP */

SEC("xdp")
int judge(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data;

	return length >= HEADERS && sd_judge(ctx, HEADERS, length - HEADERS, 0) == SD_CLEARED ? XDP_TX : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
