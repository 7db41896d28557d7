// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The director: answers ARP for the virtual IP, keeps the flow table, sends packets to real servers and honeypots by
 * rewriting their MAC address, and gives every payload that needs a verdict to the inspector through AF_XDP.
 *
 * It must never let payload of a flow that belongs to a real server pass by itself (unless inspection is off), and
 * never lose a packet without counting why.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "sd_answer.h"
#include "sd_flows.h"
#include "sd_options.h"
#include "sd_send.h"
#include "sd_sources.h"
#ifndef SD_WITHOUT_CLEARING
#include "clear.h"
#endif

/* ---- new connections ------------------------------------------------------------------------------------------ */

/* The same source always finds the same honeypot, so that his decoy stays consistent. */
static __always_inline int choose_honeypot(const struct sd_service *service, __be32 source)
{
	__u32 n = service->n_honeypots, slot;

	if (n == 0 || n > SD_SLOTS)
		return -1;
	slot = (bpf_ntohl(source) * 2654435761U >> 8) % n;
	opaque(slot);
	return service->honeypots[slot & (SD_SLOTS - 1)];
}

static __always_inline int choose_server(struct sd_service *service)
{
	__u32 n = service->n_servers, slot;

	if (n == 0 || n > SD_SLOTS)
		return -1;
	slot = __sync_fetch_and_add(&service->round_robin, 1) % n;
	opaque(slot);
	return service->servers[slot & (SD_SLOTS - 1)];
}

static __always_inline int new_connection(struct xdp_md *ctx, struct sd_config *cfg, struct packet *p,
					  struct sd_bucket *bucket, __u32 tag, struct sd_flow *f, __u32 way)
{
	struct sd_service *service = &cfg->services[p->service & (SD_SERVICES - 1)];
	struct sd_attacker *mark = marked_source(p->ip->saddr, p->now);
	struct sd_listed *list = NULL;
	struct tcp_options options;
	__u64 flags = 0, generation;
	__u32 sid = 0;
	int server = -1, honeypot = -1;
	__u32 isn = bpf_ntohl(p->tcp->seq);

	if (source_allowed(p->ip->saddr)) {
		flags = SD_FLAG_ALLOWED;
		mark = NULL;
	} else if (!mark) {
		list = listed_source(p->ip->saddr, p->service);
	}
	if (list) {
		sid = list->sid;
		flags = SD_FLAG_LISTED;
		if (list->divert >> (p->service & 63) & 1)
			flags |= SD_FLAG_DIVERTED;
	}
	if (mark)
		flags = SD_FLAG_DIVERTED;
	if (flags & SD_FLAG_DIVERTED) {
		honeypot = choose_honeypot(service, p->ip->saddr);
		if (honeypot < 0)
			return drop(SD_C_DROP_NO_HONEYPOT);
	} else {
		server = choose_server(service);
		if (server < 0)
			return drop(SD_C_DROP_NO_SERVER);
	}
	if (walk_options(ctx, &options, p->tcp_length) < 0)
		return drop(SD_C_DROP_MALFORMED);
	if (options.refused)
		return drop(SD_C_DROP_TCP_OPTION);
	if (f) {
		/* A closed connection's ports again: the same place, unless another CPU is at it. */
		if (__sync_val_compare_and_swap(&bucket->tag[way & (SD_WAYS - 1)], tag, 1) != tag)
			return drop(SD_C_DROP_FLOW_TABLE_FULL);
	} else {
		f = claim_place(cfg, bucket, p->now, &way);
		if (!f)
			return drop(SD_C_DROP_FLOW_TABLE_FULL);
	}
	generation = (READ_ONCE(f->owner) + (1ULL << SD_GEN_SHIFT)) & (0xffffULL << SD_GEN_SHIFT);
	WRITE_ONCE(f->owner, generation | flags);
	mapped(f->saddr, p->ip->saddr);
	mapped(f->daddr, p->ip->daddr);
	f->sport = p->tcp->source;
	f->dport = p->tcp->dest;
	f->server = server < 0 ? 0xffff : server;
	f->honeypot = honeypot < 0 ? 0xffff : honeypot;
	f->last_seen = p->now;
	f->created = bpf_ktime_get_ns(); /* to the point, for the round trip */
	f->client_isn = isn;
	WRITE_ONCE(f->stream, (__u64)(isn + 1) << 32 | (isn + 1));
	f->last_ack = 0;
	f->ack_time = p->now;
	f->proof_base = 0;
	f->rtt_us = 0;
	f->mss = options.mss;
	f->wscale = options.wscale;
	f->options = options.seen;
	f->attack_sid = sid;
	f->seal = 0;
	f->diverted_at = 0;
	f->returned = 0;
	f->cleared_ack = 0;
	barrier();
	WRITE_ONCE(bucket->tag[way & (SD_WAYS - 1)], tag);
	if (list)
		count(SD_C_NEW_FLOWS_LISTED);
	if (mark)
		__sync_fetch_and_add(&mark->connections, 1);
	if (flags & SD_FLAG_DIVERTED) {
		count(SD_C_NEW_FLOWS_HONEYPOT);
		return to_honeypot(cfg, p, f);
	}
	count(SD_C_NEW_FLOWS);
	return to_server(cfg, p, f);
}

/* ---- requests that no rule can match ---------------------------------------------------------------------------- */

#ifndef SD_WITHOUT_CLEARING

/* ACK or PSH and ACK, no options but timestamps, nothing urgent or reserved, nothing behind the packet. */
static __always_inline int usual_segment(const struct packet *p)
{
	const __u32 *option = (const void *)(p->tcp + 1);
	const void *end = p->end;

	opaque(end); /* the compiler may conclude what the verifier cannot */
	if ((p->tcp->flags & ~SD_TCP_PSH) != SD_TCP_ACK || (p->tcp->offset & 0x0f) || p->tcp->urgent)
		return 0;
	if ((void *)p->ip + sizeof(struct iphdr) + p->tcp_length + p->payload != p->end)
		return 0;
	if (p->tcp_length == sizeof(struct sd_tcp))
		return 1;
	return p->tcp_length == sizeof(struct sd_tcp) + 12 && (const void *)(option + 1) <= end &&
	       *option == bpf_htonl(0x0101080a);
}

static __always_inline int travels(__u32 why)
{
	count(why);
	return -1;
}

/*
 * Send a request on at once when the connection is between two requests and nothing of it is with the inspector, and no
 * rule can match it; -1: the inspector decides.
 *
 * Who moves "stream" from where the request begins has forwarded these bytes: a compare-and-swap, as in the inspector.
 * What was sent last may have been lost: its repetition is judged again, and must be the same. Before a second request
 * the first one's answer has begun, so that nothing else is ever repeated.
 */
static __always_inline int clear_request(struct xdp_md *ctx, const struct sd_config *cfg, struct packet *p,
					 struct sd_flow *f, __u64 owner, __u32 *meta_flags)
{
	const __u64 wanted = SD_FLAG_ESTABLISHED;
	const __u64 busy = SD_FLAG_CLOSED | SD_FLAG_DIVERTED | SD_FLAG_MOVING | SD_FLAG_SILENT | SD_FLAG_MIDSTREAM |
			   SD_FLAG_LISTED;
	__u32 seq = bpf_ntohl(p->tcp->seq), ack = bpf_ntohl(p->tcp->ack), end = seq + p->payload, zero = 0, next;
	__u64 stream = READ_ONCE(f->stream), seal = READ_ONCE(f->seal), sum, fresh;
	struct sd_clearing *c = bpf_map_lookup_elem(&clearing, &zero);
	struct sd_scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	int verdict;

	if (!c || !s)
		return travels(SD_C_TRAVEL_OFF);
	if (sd_held(c, p->ip->saddr, p->now))
		return travels(SD_C_TRAVEL_FLOW);
	next = (__u32)(stream >> 32);
	if ((owner & (wanted | busy)) != wanted || (__u32)(owner >> 32) != READ_ONCE(f->returned) ||
	    next != (__u32)stream)
		return travels(SD_C_TRAVEL_FLOW);
	fresh = seq == next;
	if (!fresh && (end != next || p->payload != (seal & 0xffff)))
		return travels(SD_C_TRAVEL_SEGMENT);
	if (!usual_segment(p) || sd_fold(sd_sum(p->ip, p->end, 5, 5)) != 0xffff)
		return travels(SD_C_TRAVEL_SEGMENT);
	if (fresh && next != f->client_isn + 1 && ack == READ_ONCE(f->cleared_ack))
		return travels(SD_C_TRAVEL_PIPELINED);
	sum = (__u64)p->ip->saddr + p->ip->daddr + bpf_htonl(IPPROTO_TCP << 16 | (p->tcp_length + p->payload));
	sum += sd_sum(p->tcp, p->end, p->tcp_length / 4, 8);
	verdict = sd_judge(ctx, sizeof(struct ethhdr) + sizeof(struct iphdr) + p->tcp_length, p->payload, p->service);
	if (verdict == SD_NOT_CLEARED || verdict == SD_GUARDED) {
		*meta_flags |= SD_META_JUDGED;
		return travels(verdict == SD_GUARDED ? SD_C_TRAVEL_HEADER : SD_C_TRAVEL_REQUEST);
	}
	if (verdict != SD_CLEARED)
		return travels(SD_C_TRAVEL_OFF);
	if (sd_fold(sum + s->sum) != 0xffff)
		return travels(SD_C_TRAVEL_SEGMENT);
	if (marked_source(p->ip->saddr, p->now))
		return travels(SD_C_TRAVEL_FLOW);
	sum = (s->hash & ~0xffffULL) | p->payload;
	if (!fresh) {
		if (seal != sum)
			return travels(SD_C_TRAVEL_SEGMENT);
		count(SD_C_CLEARED_AGAIN);
		return to_server(cfg, p, f);
	}
	WRITE_ONCE(f->seal, sum);
	WRITE_ONCE(f->cleared_ack, ack);
	if (__sync_val_compare_and_swap(&f->stream, stream, (__u64)end << 32 | end) != stream)
		return travels(SD_C_TRAVEL_FLOW);
	count(SD_C_CLEARED);
	return to_server(cfg, p, f);
}

#else

static __always_inline int clear_request(struct xdp_md *ctx, const struct sd_config *cfg, struct packet *p,
					 struct sd_flow *f, __u64 owner, __u32 *meta_flags)
{
	return -1;
}

#endif

/* ---- the path of a packet for the virtual IP -------------------------------------------------------------------- */

/* SYN, FIN and RST change what we believe of a connection, so a server must believe them too. */
static __always_inline int control_checksums_right(const struct packet *p)
{
	__u64 sum = sd_sum(p->ip, p->end, 5, 5);
	__u32 words = p->tcp_length / 4;

	if (sd_fold(sum) != 0xffff)
		return 0;
	sum = (__u64)p->ip->saddr + p->ip->daddr + bpf_htonl(IPPROTO_TCP << 16 | p->tcp_length);
	/* pseudo header: zero, protocol, length as one 32-bit word in network order */
	sum += sd_sum(p->tcp, p->end, words, 15);
	return sd_fold(sum) == 0xffff;
}

static __always_inline int service_packet(struct xdp_md *ctx, struct sd_config *cfg, struct packet *p)
{
	__u64 hash = flow_hash(cfg, p), owner;
	__u32 tag = (__u32)(hash >> 8) | 2, index = (__u32)(hash >> 40) & bucket_mask, way = 0;
	__u32 seq = bpf_ntohl(p->tcp->seq), ack = bpf_ntohl(p->tcp->ack), next;
	__u8 flags = p->tcp->flags & 0x3f;
	struct sd_bucket *bucket = bpf_map_lookup_elem(&flows, &index);
	struct sd_flow *f;

	if (!bucket)
		return drop(SD_C_DROP_FLOW_TABLE_FULL);
	if (flags & (SD_TCP_SYN | SD_TCP_FIN | SD_TCP_RST)) {
		struct tcp_options options;

		if (p->payload == 0 && !control_checksums_right(p))
			return drop(SD_C_DROP_CHECKSUM);
		if (!(flags & SD_TCP_SYN) && p->tcp_length > sizeof(struct sd_tcp)) {
			if (walk_options(ctx, &options, p->tcp_length) < 0 || options.refused)
				return drop(SD_C_DROP_TCP_OPTION);
		}
	}
	f = find_flow(bucket, tag, p, &way);

	if (flags & SD_TCP_SYN) {
		if (flags & (SD_TCP_FIN | SD_TCP_RST | SD_TCP_ACK))
			return drop(SD_C_DROP_BAD_FLAGS);
		if (p->payload)
			return drop(SD_C_DROP_SYN_DATA);
		if (!f || place_is_free(cfg, f, seq, p->now))
			return new_connection(ctx, cfg, p, bucket, tag, f, way);
		owner = READ_ONCE(f->owner);
		if (!(owner & SD_FLAG_DIVERTED) && f->client_isn != seq)
			return drop(SD_C_DROP_SYN_IN_USE);
		/* Again the same SYN; or the honeypot's affair. */
		WRITE_ONCE(f->last_seen, p->now);
		return owner & SD_FLAG_DIVERTED ? to_honeypot(cfg, p, f) : to_server(cfg, p, f);
	}
	if (!f)
		return reset_unknown(ctx, cfg, p);
	owner = READ_ONCE(f->owner);
	if (since(p->now, READ_ONCE(f->last_seen)) >=
	    (owner & SD_FLAG_ESTABLISHED ? cfg->flow_timeout_ns : SD_HALF_OPEN_NS))
		return reset_unknown(ctx, cfg, p);
	WRITE_ONCE(f->last_seen, p->now);
	next = (__u32)(READ_ONCE(f->stream) >> 32);

	if (flags & SD_TCP_ACK) {
		if (ack != f->last_ack) {
			WRITE_ONCE(f->last_ack, ack);
			WRITE_ONCE(f->ack_time, p->now);
		}
		if (!(owner & SD_FLAG_ESTABLISHED) && seq - (f->client_isn + 1) < 1U << 16) {
			f->rtt_us = (__u32)(since(bpf_ktime_get_ns(), f->created) / 1000);
			WRITE_ONCE(bucket->first_ack[way & (SD_WAYS - 1)], ack);
			owner = __sync_fetch_and_or(&f->owner, (__u64)SD_FLAG_ESTABLISHED) | SD_FLAG_ESTABLISHED;
		}
	}
	if (owner & SD_FLAG_PROVE)
		check_proof(ctx, cfg, p, f);
	if (owner & SD_FLAG_SILENT)
		return drop(SD_C_DROP_SILENCED);
	if (owner & SD_FLAG_DIVERTED) {
		if (flags & (SD_TCP_FIN | SD_TCP_RST))
			__sync_fetch_and_or(&f->owner, (__u64)SD_FLAG_CLOSED);
		return to_honeypot(cfg, p, f);
	}
	if ((owner & SD_FLAG_MOVING) && (cfg->flags & SD_CONFIG_INSPECT))
		return to_inspector(ctx, cfg, p, f, index * SD_WAYS + way, 0);
	if (p->payload || ((flags & SD_TCP_FIN) && seq != next)) {
		if (!(flags & SD_TCP_ACK) || (flags & SD_TCP_RST))
			return drop(SD_C_DROP_BAD_FLAGS);
		if (cfg->flags & SD_CONFIG_INSPECT) {
			__u32 meta_flags = 0;
			int done = clear_request(ctx, cfg, p, f, owner, &meta_flags);

			if (done >= 0)
				return done;
			if (marked_source(p->ip->saddr, p->now))
				meta_flags |= SD_META_MARKED;
			return to_inspector(ctx, cfg, p, f, index * SD_WAYS + way, meta_flags);
		}
		WRITE_ONCE(f->stream, (__u64)(seq + p->payload) << 32 | (seq + p->payload));
		return to_server(cfg, p, f);
	}
	/* An urgent pointer alone would make the server leave out a byte of what comes later. */
	if (!(flags & (SD_TCP_ACK | SD_TCP_RST)) || (flags & SD_TCP_URG))
		return drop(SD_C_DROP_BAD_FLAGS);
	if ((flags & (SD_TCP_FIN | SD_TCP_RST)) && seq == next)
		__sync_fetch_and_or(&f->owner, (__u64)SD_FLAG_CLOSED);
	return to_server(cfg, p, f);
}

SEC("xdp")
int securedirect(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct packet p = {};
	struct sd_config *cfg;
	__u32 zero = 0, total;
	__u8 service;

	cfg = bpf_map_lookup_elem(&config, &zero);
	if (!cfg || !(cfg->flags & SD_CONFIG_READY))
		return XDP_PASS; /* the kernel owns no virtual IP: nothing of it can be delivered */
	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return answer_arp(ctx, cfg);
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	p.eth = eth;
	p.ip = (void *)(eth + 1);
	p.end = end;
	if ((void *)(p.ip + 1) > end)
		return XDP_PASS;
	if (p.ip->daddr != cfg->vip)
		return XDP_PASS;

	/* From here on nothing reaches the director's own kernel. */
	if (p.ip->version != 4 || p.ip->ihl < 5)
		return drop(SD_C_DROP_MALFORMED);
	if (p.ip->frag_off & bpf_htons(0x3fff))
		return drop(SD_C_DROP_FRAGMENT);
	if (p.ip->protocol != IPPROTO_TCP)
		return drop(SD_C_DROP_NOT_SERVICE);
	if (p.ip->ihl != 5)
		return drop(SD_C_DROP_IP_OPTIONS);
	p.tcp = (void *)(p.ip + 1);
	if ((void *)(p.tcp + 1) > end)
		return drop(SD_C_DROP_MALFORMED);
	service = cfg->service_of[p.tcp->dest];
	if (!service)
		return drop(SD_C_DROP_NOT_SERVICE);
	p.service = service - 1;
	total = bpf_ntohs(p.ip->tot_len);
	p.tcp_length = (p.tcp->offset >> 4) * 4;
	if (p.tcp_length < sizeof(struct sd_tcp) || total < sizeof(struct iphdr) + p.tcp_length ||
	    (void *)p.ip + total > end)
		return drop(SD_C_DROP_MALFORMED);
	p.payload = total - sizeof(struct iphdr) - p.tcp_length;
	p.now = coarse_now();
	return service_packet(ctx, cfg, &p);
}

char LICENSE[] SEC("license") = "GPL";
