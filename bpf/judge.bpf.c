// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The judge of clear.h alone, for tests and measurements: the whole packet is the request. It is never attached.
 */
#include "clear.h"

SEC("xdp")
int judge(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data;

	return sd_judge(ctx, 0, length, 0) == SD_CLEARED ? XDP_TX : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
