/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Handing a packet on: to a server, a honeypot or the inspector. */
#pragma once

#include "sd_common.h"

/* Flags and MAC change together: one load, so that no mixture of old and new is ever acted upon. */
static __always_inline int aim(struct packet *p, __u32 index, __u32 need)
{
	struct sd_backend *to = bpf_map_lookup_elem(&backends, &index);
	__u64 head;

	if (!to)
		return -1;
	head = READ_ONCE(*(__u64 *)to);
	if ((head >> 48 & need) != need)
		return -1;
	*(__u32 *)p->eth->h_dest = (__u32)head;
	*(__u16 *)(p->eth->h_dest + 4) = (__u16)(head >> 32);
	return 0;
}

static __always_inline void from_here(const struct sd_config *cfg, struct packet *p)
{
	*(__u16 *)p->eth->h_source = *(const __u16 *)cfg->mac;
	*(__u32 *)(p->eth->h_source + 2) = *(const __u32 *)(cfg->mac + 2);
}

static __always_inline int to_server(const struct sd_config *cfg, struct packet *p, const struct sd_flow *f)
{
	if (aim(p, f->server, SD_BACKEND_RESOLVED) < 0)
		return drop(SD_C_DROP_NO_SERVER);
	from_here(cfg, p);
	count(SD_C_FORWARDED);
	return XDP_TX;
}

/* A dead honeypot never means production: what cannot go to it goes nowhere. */
static __always_inline int to_honeypot(const struct sd_config *cfg, struct packet *p, const struct sd_flow *f)
{
	if (aim(p, f->honeypot, SD_BACKEND_RESOLVED | SD_BACKEND_UP | SD_BACKEND_HONEYPOT) < 0)
		return drop(SD_C_DROP_NO_HONEYPOT);
	from_here(cfg, p);
	count(SD_C_FORWARDED_HONEYPOT);
	return XDP_TX;
}

/* The source MAC stays, so that the inspector knows the way back; it is set when the packet leaves. */
static __always_inline int to_inspector(struct xdp_md *ctx, const struct sd_config *cfg, struct packet *p,
					struct sd_flow *f, __u32 index, __u32 meta_flags)
{
	__u64 owner = __sync_fetch_and_add(&f->owner, SD_COUNT_ONE);
	struct sd_meta *meta;

	if (owner & SD_FLAG_DIVERTED) /* given away since it was looked at */
		return to_honeypot(cfg, p, f);
	if (aim(p, f->server, SD_BACKEND_RESOLVED) < 0)
		return drop(SD_C_DROP_NO_SERVER);
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return drop(SD_C_DROP_NO_METADATA);
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return drop(SD_C_DROP_NO_METADATA);
	meta->flow = index;
	meta->count = (__u32)(owner >> 32) + 1;
	meta->generation = (__u16)(owner >> SD_GEN_SHIFT);
	meta->flags = meta_flags;
	meta->magic = SD_META_MAGIC;
	meta->pad = 0;
	if (bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_DROP) != XDP_REDIRECT)
		return drop(SD_C_DROP_NO_INSPECTOR);
	count(SD_C_TO_INSPECTOR);
	return XDP_REDIRECT;
}
