/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The process that opens a flow: the current task, its executable and the level of its cgroup. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "kernel.h"
#include "layout.h"
#include "maps.h"
#include "verifier.h"

/*
 * The value of initiator.level for the current task: the level of its cgroup. No helper returns it, so the function
 * compares every ancestor. Not static, so that it is verified once.
 */
__noinline __u32 level_of_task(void)
{
	__u64 id = bpf_get_current_cgroup_id();
	struct settings *s = get_settings();

	if (!s || s->level)
		return 0;
	for (__u32 level = 1; level < MAX_LEVEL; level++) {
		if (bpf_get_current_ancestor_cgroup_id(level) == id)
			return level;
	}
	return 0;
}

/* The directory entry of the current task's executable, or 0. */
static __always_inline __u64 executable_entry(void)
{
	__u64 at = bpf_get_current_task();

	if (!task_layout.name)
		return 0;
	return read_kernel_u64(read_kernel_u64(read_kernel_u64(at, task_layout.mm), task_layout.exe_file),
			       task_layout.dentry);
}

static __always_inline void set_executable(struct initiator *o)
{
	__u64 at;

	if (!task_layout.name)
		return;
	at = read_kernel_u64(executable_entry(), task_layout.name);
	if (at)
		bpf_probe_read_kernel_str(o->executable, sizeof(o->executable), (void *)at);
}

/*
 * The value of flow_key.executable for the current task: the kernel's own hash of name and directory with the length of
 * the name, or the address of the entry if it has no hash. 0 for the test process: its executable is known. Not
 * static, so that it is verified once.
 */
__noinline __u64 executable_of_task(void)
{
	struct settings *s = get_settings();
	__u64 entry, id;

	if (!task_layout.name || !s || (s->process && s->process == bpf_get_current_pid_tgid() >> 32))
		return 0;
	entry = executable_entry();
	if (!entry || bpf_probe_read_kernel(&id, sizeof(id), (void *)(entry + task_layout.hash)))
		return 0;
	return (__u32)id ? id : entry;
}

/* The executable of the test process is known to user space. */
static __always_inline void set_initiator(struct initiator *o, int of_test_process)
{
	__u64 *executable = (__u64 *)o->executable, zero = unknown_zero();

	for (__u32 i = 0; i < EXECUTABLE_LEN / sizeof(zero); i++)
		executable[i] = zero;
	if (!of_test_process)
		set_executable(o);
	o->pid = bpf_get_current_pid_tgid() >> 32;
	o->level = level_of_task();
	bpf_get_current_comm(o->comm, sizeof(o->comm));
}
