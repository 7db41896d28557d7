/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Numbers that the kernel programs and crates/sd-io/src/abi.rs must agree on. */
#pragma once

#define SD_ABI_VERSION 7

/* Flow table: a set-associative array; see struct sd_bucket. */
#define SD_WAYS 8
#define SD_DEFAULT_BUCKETS 65536

#define SD_MAX_BACKENDS 256
#define SD_SLOTS 256
#define SD_SERVICES 64
#define SD_PORTS 65536

/* sd_flow.owner: [count:32][generation:16][flags:16] */
#define SD_COUNT_ONE (1ULL << 32)
#define SD_GEN_SHIFT 16
#define SD_FLAG_ESTABLISHED 0x0001 /* the client's ACK of the handshake was seen */
#define SD_FLAG_CLOSED 0x0002	   /* FIN or RST at exactly the expected sequence number was seen */
#define SD_FLAG_DIVERTED 0x0004	   /* every packet goes to the honeypot, straight from XDP */
#define SD_FLAG_MOVING 0x0008	   /* every packet goes to the inspector, which hands them to the honeypot in order */
#define SD_FLAG_PROVE 0x0010	   /* a timestamp echo at or after proof_base proves the source */
#define SD_FLAG_PROVED 0x0020
#define SD_FLAG_SILENT 0x0040	   /* classic handoff: drop everything, the client must reconnect */
#define SD_FLAG_MIDSTREAM 0x0080   /* a part of an incomplete request has been forwarded (inspector) */
#define SD_FLAG_ALLOWED 0x0100	   /* the source is on the allow list: never diverted */
#define SD_FLAG_LISTED 0x0200	   /* the source is on a rule's list of addresses, and nobody has been told yet */
#define SD_FLAG_MASK 0xffffULL

/* sd_flow.options: what the client's SYN offered */
#define SD_OPT_SACK 0x01
#define SD_OPT_TIMESTAMPS 0x02
#define SD_OPT_WSCALE 0x04

/* sd_backend.flags */
#define SD_BACKEND_UP 0x01
#define SD_BACKEND_RESOLVED 0x02
#define SD_BACKEND_HONEYPOT 0x04
#define SD_BACKEND_ADOPT 0x08
#define SD_BACKEND_SACK 0x10
#define SD_BACKEND_TIMESTAMPS 0x20
#define SD_BACKEND_WSCALE 0x40

/* sd_config.flags */
#define SD_CONFIG_READY 0x01
#define SD_CONFIG_INSPECT 0x02

/* sd_meta.flags */
#define SD_META_MARKED 0x01 /* the source is marked as an attacker */
#define SD_META_JUDGED 0x02 /* it is a request that was not cleared for what it is */
#define SD_META_MAGIC 0x5344

#define SD_HALF_OPEN_NS (30ULL * 1000000000ULL)
#define SD_EVICT_IDLE_NS (15ULL * 1000000000ULL)
/* A SYN may take the place of a connection that has been quiet for so long: a client repeats it after a second. */
#define SD_REOPEN_NS (900ULL * 1000000ULL)
/* So long a server keeps a SYN that nobody acknowledges. */
#define SD_SYN_KEPT_NS (64ULL * 1000000000ULL)
/* Behind a closed connection a new one begins nowhere within so many bytes before its end: addresses are used again. */
#define SD_CLOSED_BEFORE (1U << 28)

/* An echo proves its source when it is of the last second, give or take a clock's tick; so many others, and none does. */
#define SD_PROOF_SLACK_MS 50
#define SD_PROOF_FRESH_MS 1000
#define SD_PROOF_TRIES 32

/* The adopt segment's TCP option (RFC 6994 experimental option). */
#define SD_ADOPT_KIND 253
#define SD_ADOPT_EXID 0x5344 /* "SD" */
#define SD_ADOPT_LEN 28

/* Counters of struct sd_counters, per CPU. The names in crates/sd-io/src/abi.rs follow this order. */
enum sd_counter {
	SD_C_ARP_REPLIES,
	SD_C_NEW_FLOWS,
	SD_C_NEW_FLOWS_HONEYPOT,
	SD_C_NEW_FLOWS_LISTED,
	SD_C_FORWARDED,
	SD_C_FORWARDED_HONEYPOT,
	SD_C_TO_INSPECTOR,
	SD_C_SOURCES_PROVED,
	SD_C_FLOWS_EVICTED,
	SD_C_RESETS_SENT,
	SD_C_CLEARED,
	SD_C_CLEARED_AGAIN,
	SD_C_TRAVEL_OFF,
	SD_C_TRAVEL_FLOW,
	SD_C_TRAVEL_SEGMENT,
	SD_C_TRAVEL_PIPELINED,
	SD_C_TRAVEL_REQUEST,
	SD_C_TRAVEL_HEADER,
	SD_C_DROP_MALFORMED,
	SD_C_DROP_NOT_SERVICE,
	SD_C_DROP_FRAGMENT,
	SD_C_DROP_IP_OPTIONS,
	SD_C_DROP_BAD_FLAGS,
	SD_C_DROP_CHECKSUM,
	SD_C_DROP_TCP_OPTION,
	SD_C_DROP_SYN_DATA,
	SD_C_DROP_SYN_IN_USE,
	SD_C_DROP_NO_FLOW,
	SD_C_DROP_NO_SERVER,
	SD_C_DROP_NO_HONEYPOT,
	SD_C_DROP_NO_INSPECTOR,
	SD_C_DROP_NO_METADATA,
	SD_C_DROP_FLOW_TABLE_FULL,
	SD_C_DROP_SILENCED,
	SD_C_DROP_VIP_CONFLICT,
	SD_C_MAX,
};
