/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Headers on the wire, bounds-checked parsing, checksums. */
#pragma once

#include <linux/types.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define SD_TCP_FIN 0x01
#define SD_TCP_SYN 0x02
#define SD_TCP_RST 0x04
#define SD_TCP_PSH 0x08
#define SD_TCP_ACK 0x10
#define SD_TCP_URG 0x20

struct sd_tcp {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack;
	__u8 offset; /* header length in its high nibble */
	__u8 flags;
	__be16 window;
	__be16 check;
	__be16 urgent;
};

struct sd_arp {
	__be16 htype, ptype;
	__u8 hlen, plen;
	__be16 op;
	__u8 sha[6];
	__be32 spa;
	__u8 tha[6];
	__be32 tpa;
} __attribute__((packed));

static __always_inline __u16 sd_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* One's complement sum of `words` 32-bit words (a multiple of 4 bytes, checked by the caller), bounded by `limit`. */
static __always_inline __u64 sd_sum(const void *data, const void *end, int words, int limit)
{
	__u64 sum = 0;
	const __u32 *p = data;

	for (int i = 0; i < limit; i++) {
		if (i >= words || (const void *)(p + i + 1) > end)
			break;
		sum += p[i];
	}
	return sum;
}
