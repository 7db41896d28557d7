/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What all parts of the director use: a parsed packet, counters, the clock. */
#pragma once

#include "sd_maps.h"
#include "sd_packet.h"

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/* Keeps the compiler from leaving out a mask that the verifier needs to see. */
#define opaque(x) asm volatile("" : "+r"(x))

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
