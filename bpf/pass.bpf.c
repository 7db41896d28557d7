// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Passes everything. A veth whose peer transmits with XDP_TX needs a program of its own to take such frames. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
