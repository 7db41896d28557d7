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

#include "sd_maps.h"
#include "sd_packet.h"
#ifndef SD_WITHOUT_CLEARING
#include "clear.h"
#endif

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/* Keeps the compiler from leaving out a mask that the verifier needs to see. */
#define opaque(x) asm volatile("" : "+r"(x))

const volatile __u32 bucket_mask = SD_DEFAULT_BUCKETS - 1; /* set at load with the size of map "flows" */

static __always_inline void count(__u32 which)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &which);

	if (value)
		*value += 1;
}

/*
 * CLOCK_MONOTONIC as of this tick. Reading jiffies is one load, asking the clock is a call that would be a fifth of the
 * time that a packet takes.
 */
static __always_inline __u64 coarse_now(void)
{
	__u32 zero = 0;
	struct sd_clock *clock = bpf_map_lookup_elem(&clocks, &zero);
	__u64 jiffies = bpf_jiffies64();

	if (!clock)
		return bpf_ktime_get_coarse_ns();
	if (clock->jiffies != jiffies) {
		clock->now = bpf_ktime_get_coarse_ns();
		clock->jiffies = jiffies;
	}
	return clock->now;
}

/* Times of other CPUs and of the inspector (whose clock is exact) may be a little ahead of ours. */
static __always_inline __u64 since(__u64 now, __u64 then)
{
	return (__s64)(now - then) < 0 ? 0 : now - then;
}

static __always_inline int drop(__u32 reason)
{
	count(reason);
	return XDP_DROP;
}

#define RESET_FRAME (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct sd_tcp))

/* A parsed packet for the service; pointers are valid until the packet is moved. */
struct packet {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct sd_tcp *tcp;
	void *end;
	__u32 tcp_length; /* header */
	__u32 payload;	  /* bytes */
	__u32 service;	  /* index */
	__u64 now;
};

/* ---- options -------------------------------------------------------------------------------------------------- */

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

/* ---- flow table ----------------------------------------------------------------------------------------------- */

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

/* ---- sending -------------------------------------------------------------------------------------------------- */

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

/* ---- ARP ------------------------------------------------------------------------------------------------------ */

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

/* ---- new connections ------------------------------------------------------------------------------------------ */

static __always_inline struct sd_attacker *marked_source(__be32 address, __u64 now)
{
	__u8 key[16];
	struct sd_attacker *found;

	mapped(key, address);
	found = bpf_map_lookup_elem(&attackers, key);
	return found && found->expires > now ? found : NULL;
}

static __always_inline int source_allowed(__be32 address)
{
	struct sd_allow_key key = {.prefix_length = 128};

	mapped(key.address, address);
	return bpf_map_lookup_elem(&allow, &key) != NULL;
}

/* Asked once for each connection, so packets of known ones cost nothing. */
static __always_inline struct sd_listed *listed_source(__be32 address, __u32 service)
{
	struct sd_allow_key key = {.prefix_length = 128};
	struct sd_listed *found;

	mapped(key.address, address);
	found = bpf_map_lookup_elem(&listed, &key);
	return found && found->services >> (service & 63) & 1 ? found : NULL;
}

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

/* ---- proof of the return path (design.md, section 6) ----------------------------------------------------------- */

/*
 * The honeypot began its timestamps at a number that only the honeypot's own packets carry. An echo of it shows that the
 * client receives them: the source address is real and may be marked.
 */
static __always_inline void check_proof(struct xdp_md *ctx, const struct sd_config *cfg, struct packet *p,
					struct sd_flow *f)
{
	struct tcp_options options;
	struct sd_attacker mark = {};
	__u8 key[16];
	__u32 elapsed_ms;

	if (walk_options(ctx, &options, p->tcp_length) < 0 || !(options.seen & SD_OPT_TIMESTAMPS))
		return;
	elapsed_ms = (__u32)(since(p->now, f->diverted_at) / 1000000);
	if (options.tsecr - f->proof_base > elapsed_ms + SD_PROOF_SLACK_MS)
		return;
	mapped(key, p->ip->saddr);
	mark.since = p->now;
	mark.expires = p->now + cfg->attacker_expiry_ns;
	mark.sid = f->attack_sid;
	if (bpf_map_update_elem(&attackers, key, &mark, BPF_ANY) == 0)
		count(SD_C_SOURCES_PROVED);
	/* After the mark: the inspector looks for it when it sees this. */
	__sync_fetch_and_or(&f->owner, (__u64)SD_FLAG_PROVED);
	__sync_fetch_and_and(&f->owner, ~(__u64)SD_FLAG_PROVE);
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
					 struct sd_flow *f, __u64 owner)
{
	const __u64 wanted = SD_FLAG_ESTABLISHED;
	const __u64 busy = SD_FLAG_CLOSED | SD_FLAG_DIVERTED | SD_FLAG_MOVING | SD_FLAG_SILENT | SD_FLAG_MIDSTREAM |
			   SD_FLAG_LISTED;
	__u32 seq = bpf_ntohl(p->tcp->seq), ack = bpf_ntohl(p->tcp->ack), end = seq + p->payload, zero = 0, next;
	__u64 stream = READ_ONCE(f->stream), seal = READ_ONCE(f->seal), sum, fresh;
	struct sd_clearing *c = bpf_map_lookup_elem(&clearing, &zero);
	struct sd_scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	int verdict;

	if (!c || !s || p->now < READ_ONCE(c->not_before))
		return travels(SD_C_TRAVEL_OFF);
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
	verdict = sd_judge(ctx, sizeof(struct ethhdr) + sizeof(struct iphdr) + p->tcp_length, p->payload, p->service,
			   cfg->seal_key[0]);
	if (verdict != SD_CLEARED)
		return travels(verdict == SD_CLEARING_OFF ? SD_C_TRAVEL_OFF : SD_C_TRAVEL_REQUEST);
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
					 struct sd_flow *f, __u64 owner)
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
		if (!f || (READ_ONCE(f->owner) & SD_FLAG_CLOSED) ||
		    since(p->now, READ_ONCE(f->last_seen)) >= cfg->flow_timeout_ns ||
		    (!(READ_ONCE(f->owner) & SD_FLAG_ESTABLISHED) && f->client_isn != seq))
			return new_connection(ctx, cfg, p, bucket, tag, f, way);
		/* Again the same SYN, or one into a living connection: that server decides (RFC 5961, section 4). */
		WRITE_ONCE(f->last_seen, p->now);
		owner = READ_ONCE(f->owner);
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
			int done = clear_request(ctx, cfg, p, f, owner);

			if (done >= 0)
				return done;
			return to_inspector(ctx, cfg, p, f, index * SD_WAYS + way,
					    marked_source(p->ip->saddr, p->now) ? SD_META_MARKED : 0);
		}
		WRITE_ONCE(f->stream, (__u64)(seq + p->payload) << 32 | (seq + p->payload));
		return to_server(cfg, p, f);
	}
	if (!(flags & (SD_TCP_ACK | SD_TCP_RST)))
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
