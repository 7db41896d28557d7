/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is known of a source: whether it is marked, allowed or on a list, and the proof that its address is real. */
#pragma once

#include "sd_common.h"
#include "sd_flows.h"
#include "sd_options.h"

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

/*
 * The honeypot began its timestamps at a number that only the honeypot's own packets carry. An echo of it shows that the
 * client receives them: the source address is real and may be marked. Who does not receive them has to guess, so that
 * neither the window of right echoes grows with time nor the number of guesses is without a bound.
 */
static __always_inline void check_proof(struct xdp_md *ctx, const struct sd_config *cfg, struct packet *p,
					struct sd_flow *f)
{
	struct tcp_options options;
	struct sd_attacker mark = {};
	__u8 key[16];
	__u32 elapsed_ms, echoed;

	if (walk_options(ctx, &options, p->tcp_length) < 0 || !(options.seen & SD_OPT_TIMESTAMPS))
		return;
	elapsed_ms = (__u32)(since(p->now, f->diverted_at) / 1000000);
	echoed = options.tsecr - f->proof_base;
	if (echoed > elapsed_ms + SD_PROOF_SLACK_MS || elapsed_ms > echoed + SD_PROOF_FRESH_MS) {
		if (++f->cleared_ack >= SD_PROOF_TRIES)
			__sync_fetch_and_and(&f->owner, ~(__u64)SD_FLAG_PROVE);
		return;
	}
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
