/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Processes that leave the cgroup of their container because the cgroup tree is mounted in it. Their pid namespace
 * identifies the container: the runtime creates it in the container's cgroup, and a process cannot leave it.
 *
 * Not seen: containers without a pid namespace of their own, and containers older than the recording. Needs BTF of the
 * kernel.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "kernel.h"
#include "layout.h"
#include "maps.h"

/* Number of entries that were ever in pid_namespaces. */
__u64 namespaces;

/* The address of a task's pid in its own pid namespace; 0 in the initial namespace, or if unknown. */
static __always_inline __u64 innermost_pid(__u64 task)
{
	__u64 at = read_kernel_u64(task, pid_namespace_layout.thread_pid);
	__u32 level = read_kernel_u32(at, pid_namespace_layout.level);

	return level ? at + pid_namespace_layout.numbers + (__u64)level * pid_namespace_layout.upid : 0;
}

/* The inode number of the pid namespace of a pid; 0 if unknown. */
static __always_inline __u32 namespace_of_pid(__u64 at)
{
	return read_kernel_u32(read_kernel_u64(at, pid_namespace_layout.ns), pid_namespace_layout.inum);
}

/*
 * The current task started another one. If that is the first one in its pid namespace, stores the cgroup in which the
 * namespace was created. Inode numbers are reused. Not static, so that it is verified once.
 */
__noinline int on_first_in_pid_namespace(__u64 task)
{
	struct settings *s = get_settings();
	__u64 cgroup = bpf_get_current_cgroup_id(), at, *outer;
	__u32 inner, current;

	if (!pid_namespace_layout.inum || !s || !s->new_cgroups_after)
		return 0;
	at = innermost_pid(task);
	if (!at || read_kernel_u32(at, pid_namespace_layout.nr) != 1)
		return 0;
	inner = namespace_of_pid(at);
	current = namespace_of_pid(innermost_pid(bpf_get_current_task()));
	outer = bpf_map_lookup_elem(&pid_namespaces, &current);
	if (outer)
		cgroup = *outer;
	if (cgroup < s->new_cgroups_after)
		bpf_map_delete_elem(&pid_namespaces, &inner);
	else if (bpf_map_update_elem(&pid_namespaces, &inner, &cgroup, BPF_ANY))
		count(LOST_CGROUP_ENTRY);
	else
		__sync_fetch_and_add(&namespaces, 1);
	return 0;
}

/*
 * The id of the new cgroup in which the current task's pid namespace was created, if the task has left it; else 0. Not
 * static, so that it is verified once.
 */
__noinline __u64 cgroup_left(void)
{
	__u64 *made;
	__u32 current;

	if (!pid_namespace_layout.inum || !namespaces) /* most tasks of the machine return here */
		return 0;
	current = namespace_of_pid(innermost_pid(bpf_get_current_task()));
	made = current ? bpf_map_lookup_elem(&pid_namespaces, &current) : NULL;
	if (!made)
		return 0;
	for (__u32 level = 1; level < MAX_LEVEL; level++) {
		if (bpf_get_current_ancestor_cgroup_id(level) == *made)
			return 0; /* in it, or in a nested one */
	}
	return *made;
}
