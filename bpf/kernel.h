/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Reads of kernel memory. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The 64 bits at an offset of a structure. 0 if it cannot be read (for example if at is 0): the helper zeroes it then.
 */
static __always_inline __u64 read_kernel_u64(__u64 at, __u32 offset)
{
	__u64 value;

	bpf_probe_read_kernel(&value, sizeof(value), (void *)(at + offset));
	return value;
}

/* The same for 32 bits. */
static __always_inline __u32 read_kernel_u32(__u64 at, __u32 offset)
{
	__u32 value;

	bpf_probe_read_kernel(&value, sizeof(value), (void *)(at + offset));
	return value;
}
