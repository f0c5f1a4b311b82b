/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Tasks that enter the cgroup of a container that is older than the recording, as a command does that an engine
 * executes in it. From then on the cgroup is recorded like a new one. User space gets an event for each such task, and
 * looks for its client.
 *
 * A runtime moves the task there, or starts it there (clone3(2), CLONE_INTO_CGROUP), before the command begins. Needs
 * BTF of the kernel.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "kernel.h"
#include "layout.h"
#include "maps.h"

/* Number of tasks that entered any cgroup in older_cgroups. */
__u64 entries;

/* Whether an older cgroup is recorded because a task entered it. */
static __always_inline int was_entered(__u64 id)
{
	__u64 *n;

	if (!entries)
		return 0;
	n = bpf_map_lookup_elem(&older_cgroups, &id);
	return n && *n;
}

/* The current task moved a task to a cgroup of the v2 tree, or started it there. */
static __always_inline void on_enter(__u64 cgroup)
{
	__u64 id = id_of_cgroup(cgroup), *n;
	struct enter_event *e;

	n = bpf_map_lookup_elem(&older_cgroups, &id);
	if (!n)
		return;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (e) {
		e->kind = EVENT_ENTER;
		e->reserved = 0;
		e->time = bpf_ktime_get_ns();
		e->cgroup = id;
		e->by = bpf_get_current_cgroup_id();
		bpf_ringbuf_submit(e, 0);
	} else {
		count(LOST_CGROUP_EVENT);
	}
	__sync_fetch_and_add(n, 1);
	__sync_fetch_and_add(&entries, 1);
}

/* The arguments of the raw tracepoint cgroup_attach_task. */
struct attach_args {
	__u64 cgroup;
	__u64 path;
	__u64 task;
};

/* A task was moved, in the v2 tree or in another one. */
static __always_inline void on_attach(struct attach_args *ctx)
{
	if (!task_layout.id || cgroup_of_task(ctx->task) != ctx->cgroup)
		return;
	on_enter(ctx->cgroup);
}

/* The current task started another one, usually in its own cgroup. Not static, so that it is verified once. */
__noinline int on_fork_into_cgroup(__u64 task)
{
	__u64 current = bpf_get_current_task();

	if (!task_layout.id ||
	    read_kernel_u64(task, task_layout.cgroups) == read_kernel_u64(current, task_layout.cgroups))
		return 0;
	task = cgroup_of_task(task);
	if (task && task != cgroup_of_task(current))
		on_enter(task);
	return 0;
}
