/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * New cgroups, created during the recording. The cgroup of a container does not exist before the container starts, and
 * its first packets follow at once. So every cgroup that is newer than the recording is recorded from its first event
 * on. User space gets an event, and ignores unrelated cgroups.
 *
 * Not seen: cgroups without a connect, a bind, a datagram or another packet of their own.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "kernel.h"
#include "layout.h"
#include "maps.h"

/* Number of cgroups tracked so far. */
__u64 cgroup_generation;

/* Reads the names on the path of the current task's cgroup, as many as fit. */
static __always_inline void read_names(struct cgroup_event *e)
{
	__u64 at = bpf_get_current_task(), name;

	if (!task_layout.node_name)
		return;
	at = read_kernel_u64(cgroup_of_task(at), task_layout.node);
	for (int i = 0; i < CGROUP_NAMES; i++) {
		name = read_kernel_u64(at, task_layout.node_name);
		if (!name)
			return;
		bpf_probe_read_kernel_str(e->names[i], CGROUP_NAME_LEN, (void *)name);
		at = read_kernel_u64(at, task_layout.parent);
	}
}

/* Reserves an event for a new cgroup. Returns NULL and counts a loss if there is no room. */
static __always_inline struct cgroup_event *reserve_cgroup_event(__u64 id)
{
	struct cgroup_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		count(LOST_CGROUP_EVENT);
		return NULL;
	}
	e->kind = EVENT_CGROUP;
	e->reserved = 0;
	e->time = bpf_ktime_get_ns();
	e->cgroup = id;
	for (int i = 0; i < CGROUP_NAMES; i++)
		e->names[i][0] = 0;
	return e;
}

/* Reports a tracked cgroup again, now that there is a task to read its names from. */
static __always_inline void report_names(__u64 id, struct scope *scope)
{
	struct cgroup_event *e = reserve_cgroup_event(id);

	if (!e)
		return;
	scope->named = 1;
	read_names(e);
	bpf_ringbuf_submit(e, 0);
}

/* The arguments of the raw tracepoint cgroup_mkdir. */
struct mkdir_args {
	__u64 cgroup;
	__u64 path;
};

/* The client that starts a container waits for the engine while the cgroup is created: user space looks for it then. */
static __always_inline void on_mkdir(struct mkdir_args *ctx)
{
	struct settings *s = get_settings();
	struct mkdir_event *e;

	if (!task_layout.node_name || !s || !s->new_cgroups_after)
		return;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(LOST_CGROUP_EVENT);
		return;
	}
	e->kind = EVENT_MKDIR;
	e->reserved = 0;
	e->time = bpf_ktime_get_ns();
	e->path[0] = 0;
	bpf_probe_read_kernel_str(e->path, sizeof(e->path), (void *)ctx->path);
	bpf_ringbuf_submit(e, 0);
}

/*
 * Tracks a new cgroup and returns its id, or 0 if that failed. It reserves the event first: if another CPU finds the
 * cgroup in scope, its events follow this one. It raises cgroup_generation before the cgroup is visible, so that
 * connections to its servers are new flows.
 */
static __always_inline __u64 track_with(__u64 id, int by_task)
{
	struct scope fresh = { .state = SCOPE_TRACKED, .named = by_task || !task_layout.node_name };
	struct cgroup_event *e = reserve_cgroup_event(id);
	int err; /* not long: before 6.4 the upper half of a map helper's result is zero */

	if (!e)
		return 0;
	__sync_fetch_and_add(&cgroup_generation, 1);
	err = bpf_map_update_elem(&scopes, &id, &fresh, BPF_NOEXIST);
	if (err) {
		bpf_ringbuf_discard(e, 0);
		if (err == -EEXIST) /* another CPU was faster */
			return id;
		count(LOST_CGROUP_ENTRY);
		return 0;
	}
	if (by_task)
		read_names(e);
	bpf_ringbuf_submit(e, 0);
	return id;
}

/* Tracks the cgroup of a packet, or one that the current task has left. Not static, so that it is verified once. */
__noinline __u64 track(__u64 id)
{
	return track_with(id, 0);
}

/* Tracks the cgroup of the current task. Not static, so that it is verified once. */
__noinline __u64 track_current(__u64 id)
{
	return track_with(id, 1);
}
