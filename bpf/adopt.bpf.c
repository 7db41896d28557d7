// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The adopter, at tc ingress of a honeypot: when the director's adopt segment arrives, the honeypot's own TCP stack
 * continues the client's connection at exactly that segment's numbers (kfunc bpf_sk_assign_tcp_reqsk, Linux 6.9).
 *
 * It must never adopt for a segment whose MAC is not the director's.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "sd_structs.h"
#include "sd_packet.h"
#include "sd_siphash.h"

/* include/net/tcp.h; the layout is part of the kfunc's signature. */
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval;
	__u32 rcv_tsecr;
	__u16 mss;
	__u8 rcv_wscale;
	__u8 snd_wscale;
	__u8 ecn_ok;
	__u8 wscale_ok;
	__u8 sack_ok;
	__u8 tstamp_ok;
	__u8 usec_ts_ok;
	__u8 reserved[3];
} __attribute__((preserve_access_index));

/* Only its name matters: the kfunc's prototype is compared by kind and name. */
struct sock {
	int unused;
} __attribute__((preserve_access_index));

extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk, struct bpf_tcp_req_attrs *attrs,
				   int attrs__sz) __ksym;

#define TCP_LISTEN 10

const volatile __be32 vip;
const volatile __u8 services[SD_PORTS]; /* by port as it stands in a packet: not 0 for a service's */
const volatile __u64 key[2];

enum { ADOPTED, REFUSED_MAC, REFUSED_NO_LISTENER, REFUSED_ALREADY_OPEN, REFUSED_BY_KERNEL, C_MAX };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, C_MAX);
	__type(key, __u32);
	__type(value, __u64);
} adopt_counters SEC(".maps");

static __always_inline int done(__u32 which, int verdict)
{
	__u64 *value = bpf_map_lookup_elem(&adopt_counters, &which);

	if (value)
		*value += 1;
	return verdict;
}

static __always_inline int mac_right(const struct iphdr *ip, const struct sd_tcp *tcp, const struct sd_adopt_option *o)
{
	__u64 k[2] = {key[0], key[1]}, given;
	__u64 message[5];

	message[0] = (__u64)bpf_ntohl(ip->saddr) << 32 | bpf_ntohl(ip->daddr);
	message[1] = (__u64)bpf_ntohs(tcp->source) << 48 | (__u64)bpf_ntohs(tcp->dest) << 32 | bpf_ntohl(tcp->seq);
	message[2] = (__u64)bpf_ntohl(tcp->ack) << 32 | bpf_ntohl(o->tsval);
	message[3] = (__u64)bpf_ntohl(o->tsecr) << 32 | (__u64)bpf_ntohs(o->mss) << 16 | o->scales << 8 | o->flags;
	message[4] = (__u64)o->kind << 8 | o->length;
	__builtin_memcpy(&given, o->mac, sizeof(given));
	return sd_siphash(k, message, 5, 2, 4) == given;
}

SEC("tc")
int adopt(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct sd_tcp *tcp = (void *)(ip + 1);
	struct sd_adopt_option *option = (void *)(tcp + 1);
	struct bpf_tcp_req_attrs attrs = {};
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *listener;
	struct sock *sk;
	int refused;

	if ((void *)(option + 1) > end)
		return TC_ACT_UNSPEC;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP || ip->ihl != 5 || ip->daddr != vip ||
	    !services[tcp->dest])
		return TC_ACT_UNSPEC;
	if (option->kind != SD_ADOPT_KIND || option->length != SD_ADOPT_LEN ||
	    option->exid != bpf_htons(SD_ADOPT_EXID) || (tcp->flags & (SD_TCP_SYN | SD_TCP_RST | SD_TCP_ACK)) != SD_TCP_ACK)
		return TC_ACT_UNSPEC;
	if (!mac_right(ip, tcp, option))
		return done(REFUSED_MAC, TC_ACT_SHOT);

	tuple.ipv4.saddr = ip->saddr;
	tuple.ipv4.daddr = ip->daddr;
	tuple.ipv4.sport = tcp->source;
	tuple.ipv4.dport = tcp->dest;
	attrs.rcv_tsval = bpf_ntohl(option->tsval);
	attrs.rcv_tsecr = bpf_ntohl(option->tsecr);
	attrs.mss = bpf_ntohs(option->mss);
	attrs.snd_wscale = option->scales >> 4;
	attrs.rcv_wscale = option->scales & 15;
	attrs.wscale_ok = !!(option->flags & SD_OPT_WSCALE);
	attrs.sack_ok = !!(option->flags & SD_OPT_SACK);
	attrs.tstamp_ok = !!(option->flags & SD_OPT_TIMESTAMPS);

	listener = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), -1, 0);
	if (!listener)
		return done(REFUSED_NO_LISTENER, TC_ACT_SHOT);
	if (listener->state != TCP_LISTEN) {
		bpf_sk_release(listener);
		return done(REFUSED_ALREADY_OPEN, TC_ACT_SHOT);
	}
	sk = (struct sock *)bpf_skc_to_tcp_sock(listener);
	refused = sk ? bpf_sk_assign_tcp_reqsk(skb, sk, &attrs, sizeof(attrs)) : -1;
	bpf_sk_release(listener);
	return refused ? done(REFUSED_BY_KERNEL, TC_ACT_SHOT) : done(ADOPTED, TC_ACT_OK);
}

char LICENSE[] SEC("license") = "GPL";
