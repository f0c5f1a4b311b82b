/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Processes that descend from the test process are in scope whatever cgroup they are in, and belong to the recording whose goroutine started
 * them, through any number of forks, also when their parents have gone. An exec changes nothing: the process id stays.
 *
 * Every fork and exit of the machine passes here; those of others leave after one or two comparisons. A fork is seen where the new task
 * is woken, under the lock of its run queue: since Linux 7.0 a program on a tracepoint may be preempted elsewhere, and is then not run for
 * what happens on that CPU meanwhile. An exit can be missed so; its entry goes when its process id is given anew.
 *
 * User space puts in those that are older than the recording. While it looks for them, who forks need not be known yet: then the parents of
 * who forks tell. Needs BTF of the kernel (struct family_layout), without which nothing is attached.
 */
#pragma once

#include "goroutine.h"
#include "scope.h"

/* What the raw tracepoint sched_wakeup_new gets. */
struct tracepoint_args {
	__u64 task;
};

#define MAX_PARENTS 64

/* Whether a process is a parent of the current task, or a parent's parent and so on. Not static: verified once, for itself. */
__noinline int descends_from(__u32 ancestor)
{
	__u64 at = bpf_get_current_task();
	__u32 process;

	if (!family_layout.parent)
		return 0;
	for (int i = 0; i < MAX_PARENTS; i++) {
		at = kernel_word(at + family_layout.parent);
		process = at ? kernel_half(at + family_layout.tgid) : 0;
		if (process == ancestor)
			return 1;
		if (process <= 1)
			return 0;
	}
	count(LOST_CHILD); /* who forks sits deeper than that: it may be anybody's */
	return 0;
}

/* On the thread of the parent. */
static __always_inline void on_fork(struct tracepoint_args *ctx)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32, child;
	__u64 recording = RECORDING_NONE, own, *known;
	struct settings *s = get_settings();

	if (!family_layout.tgid || !s) /* the verifier knows the first, and drops the rest */
		return;
	on_start(ctx->task);
	child = kernel_half(ctx->task + family_layout.tgid);
	if (!child || child == process) /* a thread */
		return;
	known = bpf_map_lookup_elem(&children, &process);
	if (process == s->ancestor) {
		recording = recording_of_task(&own);
	} else if (known) {
		recording = *known;
	} else if (!s->ancestor || !s->scanning || !descends_from(s->ancestor)) {
		on_inside(ctx->task);
		if (bpf_map_lookup_elem(&children, &child)) /* of a process whose end was missed */
			bpf_map_delete_elem(&children, &child);
		return;
	}
	if (bpf_map_update_elem(&children, &child, &recording, BPF_ANY))
		count(LOST_CHILD);
}

static __always_inline void on_exit(void)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32;
	__u64 at;

	if (!family_layout.signal || !bpf_map_lookup_elem(&children, &process))
		return;
	at = kernel_word(bpf_get_current_task() + family_layout.signal);
	if (!at || kernel_half(at + family_layout.live)) /* other threads live on */
		return;
	bpf_map_delete_elem(&children, &process);
}
