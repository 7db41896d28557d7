/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The ABI between the kernel programs, the inspector and the supervisor. Mirrored in crates/sd-io/src/abi.rs. */
#pragma once

#include <linux/types.h>
#include "sd_consts.h"

/* A TCP port of the virtual address with the machines that serve it. */
struct sd_service {
	__u32 round_robin;
	__u32 n_servers;
	__u32 n_honeypots;
	__u32 pad;
	__u8 servers[SD_SLOTS]; /* backend indexes, the first n_servers are in use */
	__u8 honeypots[SD_SLOTS];
};
_Static_assert(sizeof(struct sd_service) == 528, "ABI");

/* One element of map "config". Written field by field by the supervisor through a shared mapping. */
struct sd_config {
	__u32 abi_version;
	__u32 flags;
	__be32 vip;
	__u16 pad;
	__u8 mac[6];
	__u64 flow_timeout_ns;
	__u64 closed_timeout_ns;
	__u64 attacker_expiry_ns;
	__u64 hash_key[2]; /* factors of the flow table's hash, secret: nobody can aim at one bucket */
	struct sd_service services[SD_SERVICES];
	__u8 service_of[SD_PORTS]; /* by port as it stands in a packet: index in services and one; 0: no service's */
};
_Static_assert(sizeof(struct sd_config) == 64 + 64 * 528 + 65536, "ABI");

/* Map "backends": real servers and honeypots by index. */
struct sd_backend {
	__u8 mac[6];
	__u16 flags;
	__be32 address;
	__u16 mss;
	__u8 wscale; /* the scale this machine announces for its own window */
	__u8 pad;
};
_Static_assert(sizeof(struct sd_backend) == 16, "ABI");

/*
 * A connection. Addresses are in IPv6 form (IPv4: ::ffff:a.b.c.d).
 *
 * "owner" changes atomically. XDP adds one to its count for every packet that it gives to the inspector; the inspector
 * takes or gives away ownership by compare-and-swap with the count that it has seen, so nothing is overtaken.
 */
struct sd_flow {
	__u64 owner;
	__u64 stream; /* [next:32][pending:32]: the server has got all before next; up to pending may be on its way */
	__u8 saddr[16];
	__u8 daddr[16];
	__be16 sport;
	__be16 dport;
	__u16 server;
	__u16 honeypot;
	__u64 last_seen; /* ns, CLOCK_MONOTONIC, coarse like all times here */
	__u64 created;
	__u32 client_isn;
	__u32 last_ack;	 /* the client's newest acknowledgement */
	__u64 ack_time;	 /* when it moved */
	__u32 proof_base;
	__u32 rtt_us;	 /* of the handshake, client to director */
	__u16 mss;
	__u8 wscale;
	__u8 options;
	__u32 attack_sid;
	__u64 seal;	 /* [hash:48][length:16] of the last request, when XDP cleared it; 0: the inspector forwarded it */
	__u64 diverted_at;
	/*
	 * XDP may clear requests while this is owner's count: the inspector, which writes it, has seen all that it was given,
	 * holds nothing, and the server's stream is between two requests.
	 */
	__u32 returned;
	__u32 cleared_ack; /* the client's acknowledgement with its last request; once diverted: echoes that prove nothing */
};
_Static_assert(sizeof(struct sd_flow) == 128, "ABI");

/*
 * Map "flows": each element a set of SD_WAYS flows. tag 0 = free, 1 = being written, else a hash of the key.
 * A plain array (not a kernel hash map) so that the inspector shares it by mmap without a system call per packet.
 */
struct sd_bucket {
	__u32 tag[SD_WAYS];
	__u32 first_ack[SD_WAYS]; /* the client's in the handshake: the server's stream begins there */
	struct sd_flow way[SD_WAYS];
};
_Static_assert(sizeof(struct sd_bucket) == 1088, "ABI");

/* In the XDP metadata area, directly in front of a packet that goes to the inspector. */
struct sd_meta {
	__u32 flow; /* bucket * SD_WAYS + way */
	__u32 count; /* owner's count with this packet */
	__u16 generation;
	__u16 flags;
	__u16 magic;
	__u16 pad;
};
_Static_assert(sizeof(struct sd_meta) == 16, "ABI");

struct sd_address {
	__u8 bytes[16]; /* IPv6 form */
};

/* Map "attackers": key = source address. */
struct sd_attacker {
	__u64 since;
	__u64 expires;
	__u64 connections; /* to the honeypot since then */
	__u32 sid;
	__u32 pad;
};
_Static_assert(sizeof(struct sd_attacker) == 32, "ABI");

/* Map "allow" (LPM): sources that are never diverted. */
struct sd_allow_key {
	__u32 prefix_length;
	__u8 address[16];
};

/* Map "listed" (LPM, keys as in "allow"): sources on rules' lists of addresses; one bit for each service. */
struct sd_listed {
	__u64 services; /* the list is for these; none: an exception from a larger network */
	__u64 divert;	/* and for these its sources go to the honeypot */
	__u32 sid;
	__u32 pad;
};
_Static_assert(sizeof(struct sd_listed) == 24, "ABI");

/* Map "clocks": per CPU; not shared with anybody. */
struct sd_clock {
	__u64 jiffies;
	__u64 now;
};

/* What the adopt segment's option says (network order), covered by its MAC together with the addresses. */
struct sd_adopt_option {
	__u8 kind;
	__u8 length;
	__be16 exid;
	__be32 tsval;  /* the client's newest timestamp */
	__be32 tsecr;  /* where the honeypot's own timestamps begin */
	__be16 mss;
	__u8 scales;   /* high nibble: the client's window scale, low: ours */
	__u8 flags;    /* SD_OPT_* */
	__u8 pad[4];
	__u8 mac[8];   /* SipHash-2-4 */
};
_Static_assert(sizeof(struct sd_adopt_option) == SD_ADOPT_LEN, "ABI");
