/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The recording of a task. In the test process it is that of the goroutine on the thread, by an inherited label; in a
 * descendant, that of the goroutine that started it (process_tracking.h).
 *
 * The labels of a goroutine are a list of pairs of strings. The key of ours is at a known address; its value, 8 bytes,
 * is the id of the recording. If the program under test replaced the labels, the ids of the goroutine and its creator
 * are looked up. Not seen: threads that the Go runtime does not know.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "kernel.h"
#include "layout.h"
#include "maps.h"

#define MAX_LABELS 16
#define MAX_READS 32 /* of the thread and its goroutine: about ten microseconds */

/* Goroutines that a recording has labelled, by id. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} goroutines SEC(".maps");

/*
 * Sets of labels that contain ours and do not move, as user space knows: address -> recording. Nearly all goroutines of
 * a test share one, which need not be read.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} label_sets SEC(".maps");

/* 64 bits of the current process, or 0 if they cannot be read. */
static __always_inline __u64 read_user_u64(__u64 at)
{
	__u64 value;

	return bpf_probe_read_user(&value, sizeof(value), (void *)at) ? 0 : value;
}

#define GOROUTINE_UNREAD 1 /* no g has this address */

/* The g of the current thread, 0, or GOROUTINE_UNREAD if it could not be read. */
static __always_inline __u64 read_thread_goroutine(void)
{
	__u64 at = bpf_get_current_task(), g;

	if (!goroutine_layout.labels)
		return 0;
	if (goroutine_layout.registers)
		return read_kernel_u64(read_kernel_u64(at, goroutine_layout.stack), goroutine_layout.registers);
	at = read_kernel_u64(at, goroutine_layout.thread);
	if (!at)
		return 0;
	return bpf_probe_read_user(&g, sizeof(g), (void *)(at + goroutine_layout.slot)) ? GOROUTINE_UNREAD : g;
}

/* The same. Not static, so that it is verified once. */
__noinline __u64 thread_goroutine(void)
{
	return read_thread_goroutine();
}

/*
 * The g that runs on a thread, given the g of the thread. While C code runs, the latter is the system goroutine with id
 * 0.
 */
static __always_inline __u64 running_goroutine(__u64 g)
{
	if (!g || !goroutine_layout.m || read_user_u64(g + goroutine_layout.id))
		return g;
	g = read_user_u64(g + goroutine_layout.m);
	return g ? read_user_u64(g + goroutine_layout.current) : 0;
}

/* The recording in the labels of a g if user space knows the set of labels, as nearly always; else RECORDING_NONE. */
static __always_inline __u64 known_label_of(__u64 g)
{
	__u64 set, *known;

	if (bpf_probe_read_user(&set, sizeof(set), (void *)(g + goroutine_layout.labels)) || !set)
		return RECORDING_NONE;
	known = bpf_map_lookup_elem(&label_sets, &set);
	return known ? *known : RECORDING_NONE;
}

/* The recording in the labels of a g, or an enum no_recording. Not static, so that it is verified once. */
__noinline __u64 label_of(__u64 g)
{
	struct {
		__u64 first, length;
	} list;
	struct {
		__u64 key, key_length, value, value_length;
	} label;
	__u64 set, recording, *known;

	if (!goroutine_layout.labels)
		return RECORDING_NONE;
	if (bpf_probe_read_user(&set, sizeof(set), (void *)(g + goroutine_layout.labels)))
		return RECORDING_UNREAD;
	if (!set)
		return RECORDING_NONE;
	known = bpf_map_lookup_elem(&label_sets, &set);
	if (known)
		return *known;
	if (bpf_probe_read_user(&list, sizeof(list), (void *)(set + goroutine_layout.list)))
		return RECORDING_UNREAD;
	for (__u32 i = 0; i < MAX_LABELS && i < list.length; i++) {
		if (bpf_probe_read_user(&label, sizeof(label), (void *)(list.first + i * sizeof(label))))
			return RECORDING_UNREAD;
		/* One branch, because the verifier follows both sides of each. */
		if ((label.key ^ goroutine_layout.key) | (label.key_length ^ goroutine_layout.key_length) |
		    (label.value_length ^ sizeof(recording)))
			continue;
		return bpf_probe_read_user(&recording, sizeof(recording), (void *)label.value) ? RECORDING_UNREAD
											       : recording;
	}
	return RECORDING_NONE;
}

/* The recording of a goroutine without our label. */
static __always_inline __u64 known_goroutine(__u64 g)
{
	__u64 id = read_user_u64(g + goroutine_layout.id), *recording;

	recording = bpf_map_lookup_elem(&goroutines, &id);
	if (recording)
		return *recording;
	id = read_user_u64(g + goroutine_layout.creator_id);
	recording = bpf_map_lookup_elem(&goroutines, &id);
	return recording ? *recording : RECORDING_NONE;
}

/* The recording of the g of the current thread. Not static, so that it is verified once. */
__noinline __u64 recording_of_goroutine(__u64 thread_g)
{
	__u64 g, recording;

	if (!goroutine_layout.labels)
		return RECORDING_NONE;
	recording = label_of(thread_g);
	if (recording)
		return recording;
	g = running_goroutine(thread_g);
	if (!g)
		return RECORDING_NONE;
	recording = g != thread_g ? label_of(g) : RECORDING_NONE;
	return recording ? recording : known_goroutine(g);
}

/*
 * The g of the current thread. It tries again if the memory cannot be read: a page that the kernel migrates is back
 * after some microseconds, and a program cannot wait for a page fault. Not static, so that the loop is verified once.
 */
__noinline __u64 await_goroutine(void)
{
	__u64 g = thread_goroutine();

	for (int i = 0; i < MAX_READS && g == GOROUTINE_UNREAD; i++)
		g = thread_goroutine();
	return g;
}

static __always_inline __u64 await_recording(__u64 thread_g)
{
	__u64 recording = recording_of_goroutine(thread_g);

	for (int i = 0; i < MAX_READS && recording == RECORDING_UNREAD; i++)
		recording = recording_of_goroutine(thread_g);
	return recording;
}

/* The g of the current thread, if it belongs to the test process; else 0. Not static, so that it is verified once. */
__noinline __u64 goroutine_of_task(void)
{
	struct settings *s = get_settings();
	__u64 g;

	if (!goroutine_layout.labels || !s || !s->process || s->process != bpf_get_current_pid_tgid() >> 32)
		return 0;
	g = read_thread_goroutine();
	return g == GOROUTINE_UNREAD ? await_goroutine() : g;
}

/*
 * The recording of the current task, or an enum no_recording; g is the result of goroutine_of_task. Not static, so that
 * it is verified once.
 */
__noinline __u64 recording_by(__u64 g)
{
	struct settings *s = get_settings();
	__u64 *known, recording;
	__u32 process;

	if (!goroutine_layout.labels || !s || !s->process)
		return RECORDING_NONE;
	if (g == GOROUTINE_UNREAD)
		return RECORDING_UNREAD;
	if (g) {
		recording = known_label_of(g);
		return recording ? recording : await_recording(g);
	}
	process = bpf_get_current_pid_tgid() >> 32;
	if (process == s->process)
		return RECORDING_NONE;
	known = bpf_map_lookup_elem(&children, &process);
	return known ? *known : RECORDING_NONE;
}

/*
 * The recording of the current task, or an enum no_recording. Sets thread_g to the g of the thread if it belongs to the
 * test process and could be read, else to 0.
 */
static __always_inline __u64 recording_of_task(__u64 *thread_g)
{
	__u64 g = goroutine_of_task();

	*thread_g = g == GOROUTINE_UNREAD ? 0 : g;
	return recording_by(g);
}
