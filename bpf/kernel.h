/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Reads of kernel memory. The offsets are those of the layouts in abi.h, from the kernel's BTF. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The word at an offset of a structure. 0 if it cannot be read (for example if at is 0): the helper zeroes it then. */
static __always_inline __u64 kernel_word(__u64 at, __u32 offset)
{
	__u64 word;

	bpf_probe_read_kernel(&word, sizeof(word), (void *)(at + offset));
	return word;
}

/* The same for 32 bits. */
static __always_inline __u32 kernel_half(__u64 at, __u32 offset)
{
	__u32 half;

	bpf_probe_read_kernel(&half, sizeof(half), (void *)(at + offset));
	return half;
}
