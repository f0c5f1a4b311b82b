/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Workarounds for the verifiers of old kernels. */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Never written: zero. */
__u64 nothing;

/*
 * A zero that the verifier does not know. If a variable is zero on some paths and arbitrary on others, the verifier
 * follows each path to the end of the program; if it knows neither value, the paths are one.
 */
static __always_inline __u64 unknown_zero(void)
{
	return *(volatile __u64 *)&nothing;
}

/*
 * A length from 1 to most, which is a power of two, masked so that the verifier of 5.10 knows the bound. The compiler
 * knows it too, and must not remove the mask.
 */
static __always_inline __u32 bounded(__u32 length, __u32 most)
{
	asm volatile("" : "+r"(length));
	return ((length - 1) & (most - 1)) + 1;
}
