/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Addresses: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_endian.h>

#include "verifier.h"

static __always_inline void set_ipv4(__u8 *addr, __u32 ip4)
{
	__u32 *part = (__u32 *)addr, zero = unknown_zero();

	part[0] = zero;
	part[1] = zero;
	part[2] = bpf_htonl(0xffff);
	part[3] = ip4;
}

static __always_inline int is_ipv4(const __u8 *addr)
{
	const __u32 *part = (const __u32 *)addr;

	return !part[0] && !part[1] && part[2] == bpf_htonl(0xffff);
}

static __always_inline int same_addr(const __u8 *a, const __u8 *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}
