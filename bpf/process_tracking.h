/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Descendants of the test process are in scope in any cgroup. They belong to the recording of the goroutine that
 * started them, through any number of forks, also if their parents have exited. An exec changes nothing: the process id
 * stays the same.
 *
 * Every fork and exit of the machine is seen here; unrelated ones return after one or two comparisons. A fork is seen
 * when the new task is woken, under the lock of its run queue: since Linux 7.0, elsewhere a program on a tracepoint may
 * be preempted, and is not run for other events on that CPU meanwhile. So an exit can be missed; its entry is deleted
 * when the process id is reused.
 *
 * User space adds the descendants that are older than the recording. While it looks for them (settings.scanning), the
 * parents of a forking task decide. Needs BTF of the kernel (struct family_layout), without which nothing is attached.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "enter.h"
#include "goroutine.h"
#include "kernel.h"
#include "layout.h"
#include "maps.h"
#include "pid_namespace.h"

/* The arguments of the raw tracepoint sched_wakeup_new. */
struct tracepoint_args {
	__u64 task;
};

#define MAX_PARENTS 64

/* Whether the current task descends from a process. Not static, so that it is verified once. */
__noinline int descends_from(__u32 ancestor)
{
	__u64 at = bpf_get_current_task();
	__u32 process;

	if (!family_layout.parent)
		return 0;
	for (int i = 0; i < MAX_PARENTS; i++) {
		at = read_kernel_u64(at, family_layout.parent);
		process = read_kernel_u32(at, family_layout.tgid);
		if (process == ancestor)
			return 1;
		if (process <= 1)
			return 0;
	}
	count(LOST_CHILD); /* deeper than that: its origin is unknown */
	return 0;
}

/* Runs on the thread of the parent. */
static __always_inline void on_fork(struct tracepoint_args *ctx)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32, child;
	__u64 recording = RECORDING_NONE, thread_g, *known;
	struct settings *s = get_settings();

	if (!family_layout.tgid || !s)
		return;
	on_fork_into_cgroup(ctx->task);
	child = read_kernel_u32(ctx->task, family_layout.tgid);
	if (!child || child == process) /* a thread */
		return;
	known = bpf_map_lookup_elem(&children, &process);
	if (process == s->ancestor) {
		recording = recording_of_task(&thread_g);
	} else if (known) {
		recording = *known;
	} else if (!s->ancestor || !s->scanning || !descends_from(s->ancestor)) {
		on_first_in_pid_namespace(ctx->task);
		if (bpf_map_lookup_elem(&children, &child)) /* from a missed exit */
			bpf_map_delete_elem(&children, &child);
		return;
	}
	if (bpf_map_update_elem(&children, &child, &recording, BPF_ANY))
		count(LOST_CHILD);
}

/* Reserves an event for a client of an engine. Returns NULL and counts a loss if there is no room. */
static __always_inline struct client_event *reserve_client_event(__u32 process)
{
	struct client_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		count(LOST_CGROUP_EVENT);
		return NULL;
	}
	e->kind = EVENT_CLIENT;
	e->pid = process;
	e->time = bpf_ktime_get_ns();
	e->recording = 0;
	e->ended = 0;
	e->unrelated = 0;
	e->unused = 0;
	e->length = 0;
	return e;
}

/* A client of an engine exits, or executes another program. */
static __always_inline void end_client(__u32 process)
{
	struct client_event *e;

	if (bpf_map_delete_elem(&clients, &process))
		return;
	e = reserve_client_event(process);
	if (!e)
		return;
	e->ended = 1;
	bpf_ringbuf_submit(e, 0);
}

/* Whether the current task has the name of a client of an engine. */
static __always_inline int is_client(void)
{
	char n[16] = {};

	bpf_get_current_comm(n, sizeof(n));
	return (n[0] == 'd' && n[1] == 'o' && n[2] == 'c' && n[3] == 'k' && n[4] == 'e' && n[5] == 'r') ||
	       (n[0] == 'p' && n[1] == 'o' && n[2] == 'd' && n[3] == 'm' && n[4] == 'a' && n[5] == 'n') ||
	       (n[0] == 'n' && n[1] == 'e' && n[2] == 'r' && n[3] == 'd' && n[4] == 'c' && n[5] == 't');
}

/* Reports clients of an engine: one may have exited before user space looks for it. */
static __always_inline void on_exec(void)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32, one = 1;
	struct client_event *e;
	__u64 *known, at, start, length;

	if (!family_layout.tgid || !task_layout.arguments)
		return;
	end_client(process);
	if (!is_client())
		return;
	known = bpf_map_lookup_elem(&children, &process);
	e = reserve_client_event(process);
	if (!e)
		return;
	if (known)
		e->recording = *known;
	else
		e->unrelated = 1;
	bpf_get_current_comm(e->name, sizeof(e->name));
	at = read_kernel_u64(bpf_get_current_task(), task_layout.mm);
	start = read_kernel_u64(at, task_layout.arguments);
	length = read_kernel_u64(at, task_layout.end) - start;
	e->length = length;
	if (length > CLIENT_COMMAND_LEN)
		length = CLIENT_COMMAND_LEN;
	if (bpf_probe_read_user(e->command, length, (void *)start))
		e->length = 0;
	bpf_ringbuf_submit(e, 0);
	if (bpf_map_update_elem(&clients, &process, &one, BPF_ANY))
		count(LOST_CHILD);
}

static __always_inline void on_exit(void)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32;
	__u64 at;

	if (!family_layout.signal ||
	    (!bpf_map_lookup_elem(&children, &process) && !bpf_map_lookup_elem(&clients, &process)))
		return;
	at = read_kernel_u64(bpf_get_current_task(), family_layout.signal);
	if (!at || read_kernel_u32(at, family_layout.live)) /* other threads are alive */
		return;
	bpf_map_delete_elem(&children, &process);
	end_client(process);
}
