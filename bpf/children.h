/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Processes that descend from the test process belong to the recording whose goroutine started them, through any number of forks, also when
 * their parents have gone. An exec changes nothing: the process id stays.
 *
 * Every fork and exit of the machine passes here; those of others leave after one or two comparisons. A fork is seen where the new task
 * is woken, under the lock of its run queue: since Linux 7.0 a program on a tracepoint may be preempted elsewhere, and is then not run for
 * what happens on that CPU meanwhile. An exit can be missed so; its entry goes when its process id is given anew.
 *
 * Not seen: processes from before the recording. Needs BTF of the kernel (struct family_layout), without which nothing is attached.
 */
#pragma once

#include "goroutine.h"

const volatile struct family_layout family_layout;

/* What the raw tracepoint sched_wakeup_new gets. */
struct tracepoint_args {
	__u64 task;
};

static __always_inline __u32 kernel_half(__u64 at)
{
	__u32 half;

	return bpf_probe_read_kernel(&half, sizeof(half), (void *)at) ? 0 : half;
}

/* On the thread of the parent. */
static __always_inline void on_fork(struct tracepoint_args *ctx)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32, child;
	__u64 recording, own;

	if (!family_layout.tgid) /* the verifier knows the value, and drops the rest */
		return;
	child = kernel_half(ctx->task + family_layout.tgid);
	if (!child || child == process) /* a thread */
		return;
	recording = recording_of_task(&own);
	if (recording) {
		if (bpf_map_update_elem(&children, &child, &recording, BPF_ANY))
			count(LOST_CHILD);
	} else if (bpf_map_lookup_elem(&children, &child)) {
		bpf_map_delete_elem(&children, &child);
	}
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
