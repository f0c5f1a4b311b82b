/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Where the kernel and the Go runtime store what the programs read, and reads along these offsets. User space sets the
 * layouts before it loads the programs, so they are constants to the verifier, which removes the code that depends on
 * an unknown one. Before 6.8 it also checks functions that are not called, so each function that is not static checks
 * its layout.
 */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "kernel.h"

const volatile struct task_layout task_layout;
const volatile struct family_layout family_layout;
const volatile struct sender_layout sender_layout;
const volatile struct pid_namespace_layout pid_namespace_layout;
const volatile struct goroutine_layout goroutine_layout;

/* The address of a task's cgroup in the v2 tree. */
static __always_inline __u64 cgroup_of_task(__u64 task)
{
	return read_kernel_u64(read_kernel_u64(task, task_layout.cgroups), task_layout.cgroup);
}

/* The id of a cgroup, given its address; 0 if it cannot be read. */
static __always_inline __u64 id_of_cgroup(__u64 cgroup)
{
	return read_kernel_u64(read_kernel_u64(cgroup, task_layout.node), task_layout.id);
}
