/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* SipHash (Aumasson, Bernstein, 2012) over whole 64-bit words, for message authentication (2-4). */
#pragma once

#include <linux/types.h>

#define SD_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SD_SIPROUND(v0, v1, v2, v3)     \
	do {                            \
		v0 += v1;               \
		v1 = SD_ROTL(v1, 13);   \
		v1 ^= v0;               \
		v0 = SD_ROTL(v0, 32);   \
		v2 += v3;               \
		v3 = SD_ROTL(v3, 16);   \
		v3 ^= v2;               \
		v0 += v3;               \
		v3 = SD_ROTL(v3, 21);   \
		v3 ^= v0;               \
		v2 += v1;               \
		v1 = SD_ROTL(v1, 17);   \
		v1 ^= v2;               \
		v2 = SD_ROTL(v2, 32);   \
	} while (0)

/* words is a compile-time constant; c and d: compression and finalisation rounds. */
static __always_inline __u64 sd_siphash(const __u64 *key, const __u64 *message, int words, int c, int d)
{
	__u64 v0 = 0x736f6d6570736575ULL ^ key[0], v1 = 0x646f72616e646f6dULL ^ key[1];
	__u64 v2 = 0x6c7967656e657261ULL ^ key[0], v3 = 0x7465646279746573ULL ^ key[1];
	__u64 last = (__u64)(words * 8) << 56;

#pragma unroll
	for (int i = 0; i < words; i++) {
		v3 ^= message[i];
#pragma unroll
		for (int r = 0; r < c; r++)
			SD_SIPROUND(v0, v1, v2, v3);
		v0 ^= message[i];
	}
	v3 ^= last;
#pragma unroll
	for (int r = 0; r < c; r++)
		SD_SIPROUND(v0, v1, v2, v3);
	v0 ^= last;
	v2 ^= 0xff;
#pragma unroll
	for (int r = 0; r < d; r++)
		SD_SIPROUND(v0, v1, v2, v3);
	return v0 ^ v1 ^ v2 ^ v3;
}
