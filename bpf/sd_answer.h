/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the director answers itself: ARP, and segments of connections that it does not know. */
#pragma once

#include "sd_common.h"

#define RESET_FRAME (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct sd_tcp))

/*
 * A connection that is not in the table (idle for too long, pushed out, from before a start without the old tables): the
 * client is told at once, as the host that it believes to talk to would (RFC 9293, section 3.10.7.1), and connects anew.
 */
static __always_inline int reset_unknown(struct xdp_md *ctx, const struct sd_config *cfg, struct packet *p)
{
	__be32 client = p->ip->saddr, seq = p->tcp->ack;
	__be16 port = p->tcp->source, ours = p->tcp->dest;
	int surplus = (int)(ctx->data_end - ctx->data) - (int)RESET_FRAME;
	struct ethhdr *eth;
	struct iphdr *ip;
	struct sd_tcp *tcp;
	void *end;

	if ((p->tcp->flags & (SD_TCP_ACK | SD_TCP_RST)) != SD_TCP_ACK || surplus < 0)
		return drop(SD_C_DROP_NO_FLOW);
	if (surplus > 0 && bpf_xdp_adjust_tail(ctx, -surplus))
		return drop(SD_C_DROP_NO_FLOW);
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	ip = (void *)(eth + 1);
	tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) > end)
		return drop(SD_C_DROP_NO_FLOW);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, cfg->mac, ETH_ALEN);
	ip->tos = 0;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*tcp));
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = 64;
	ip->check = 0;
	ip->saddr = cfg->vip;
	ip->daddr = client;
	ip->check = ~sd_fold(sd_sum(ip, end, 5, 5));
	tcp->source = ours;
	tcp->dest = port;
	tcp->seq = seq;
	tcp->ack = 0;
	tcp->offset = 5 << 4;
	tcp->flags = SD_TCP_RST;
	tcp->window = 0;
	tcp->check = 0;
	tcp->urgent = 0;
	tcp->check = ~sd_fold((__u64)ip->saddr + ip->daddr + bpf_htonl(IPPROTO_TCP << 16 | sizeof(*tcp)) +
			      sd_sum(tcp, end, 5, 5));
	count(SD_C_RESETS_SENT);
	return XDP_TX;
}

/* RFC 826; the answer goes back out of the interface that the question came in by. */
static __always_inline int answer_arp(struct xdp_md *ctx, const struct sd_config *cfg)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct sd_arp *arp = (void *)(eth + 1);

	if ((void *)(arp + 1) > end)
		return XDP_PASS;
	if (arp->htype != bpf_htons(1) || arp->ptype != bpf_htons(ETH_P_IP) || arp->hlen != ETH_ALEN || arp->plen != 4)
		return XDP_PASS;
	if (arp->spa == cfg->vip) /* somebody says that he is the virtual address */
		return drop(SD_C_DROP_VIP_CONFLICT);
	if (arp->tpa != cfg->vip)
		return XDP_PASS;
	if (arp->op != bpf_htons(1))
		return drop(SD_C_DROP_NOT_SERVICE);
	arp->op = bpf_htons(2);
	__builtin_memcpy(arp->tha, arp->sha, ETH_ALEN);
	arp->tpa = arp->spa;
	__builtin_memcpy(arp->sha, cfg->mac, ETH_ALEN);
	arp->spa = cfg->vip;
	__builtin_memcpy(eth->h_dest, arp->tha, ETH_ALEN);
	__builtin_memcpy(eth->h_source, cfg->mac, ETH_ALEN);
	count(SD_C_ARP_REPLIES);
	return XDP_TX;
}
