/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What lets the verifiers of old kernels follow the programs. */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Never written: zero. */
__u64 nothing;

/*
 * A zero that the verifier does not know. Of a variable that is zero on some ways through the program and anything on others, it would follow
 * every way to the end of the program for itself; where it knows neither value, the ways are one.
 */
static __always_inline __u64 unknown_zero(void)
{
	return *(volatile __u64 *)&nothing;
}

/*
 * A length from 1 to most, a power of two, as one that the verifier of 5.10 knows to be so: the compiler, which knows it too, must not leave
 * that out.
 */
static __always_inline __u32 bounded(__u32 length, __u32 most)
{
	asm volatile("" : "+r"(length));
	return ((length - 1) & (most - 1)) + 1;
}
