/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Which recording a task belongs to: in the test process that of the goroutine that runs on the thread, by the label that it
 * inherited; in processes that descend from it, that of the goroutine that started them (process_tracking.h).
 *
 * A goroutine's labels are a list of pairs of strings. Ours has a name at a known address and a value of 8 bytes, which are
 * the recording's id. Where the program under test has replaced the labels by its own, the ids of the goroutine and of its parent are
 * looked up. Not seen: threads that the Go runtime does not know.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "kernel.h"
#include "maps.h"

#define MAX_LABELS 16
#define MAX_READS 32 /* of the thread, and of its goroutine: some ten microseconds */

const volatile struct goroutine_layout goroutine_layout;

/* Goroutines to which a recording has given its label, by id. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} goroutines SEC(".maps");

/*
 * Sets of labels of which user space knows that they hold ours, and that they stay where they are: address -> recording. Nearly all
 * goroutines of a test share one, which is then not read.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} label_sets SEC(".maps");

static __always_inline __u64 user_word(__u64 at)
{
	__u64 word;

	return bpf_probe_read_user(&word, sizeof(word), (void *)at) ? 0 : word;
}

#define GOROUTINE_UNREAD 1 /* no g has this address */

/* The g that the current thread has, or 0; GOROUTINE_UNREAD where it could not be read. Not static: verified once, for itself. */
__noinline __u64 thread_goroutine(void)
{
	__u64 at = bpf_get_current_task(), g;

	if (!goroutine_layout.labels) /* before 6.8 what is not static is verified whether or not it is called */
		return 0;
	if (goroutine_layout.registers) /* the verifier knows these values, and drops the rest */
		return kernel_word(kernel_word(at, goroutine_layout.stack), goroutine_layout.registers);
	at = kernel_word(at, goroutine_layout.thread);
	if (!at)
		return 0;
	return bpf_probe_read_user(&g, sizeof(g), (void *)(at + goroutine_layout.slot)) ? GOROUTINE_UNREAD : g;
}

/* The g that a thread runs, whose g is this. While C runs that is the thread's own, whose id is 0. */
static __always_inline __u64 running_goroutine(__u64 g)
{
	if (!g || !goroutine_layout.m || user_word(g + goroutine_layout.id))
		return g;
	g = user_word(g + goroutine_layout.m);
	return g ? user_word(g + goroutine_layout.current) : 0;
}

/* Not static: verified once, for itself. */
__noinline __u64 label_of(__u64 g)
{
	struct { __u64 first, length; } list;
	struct { __u64 key, key_length, value, value_length; } label;
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
		if ((label.key ^ goroutine_layout.key) | (label.key_length ^ goroutine_layout.key_length) |
		    (label.value_length ^ sizeof(recording))) /* one branch: the verifier follows each both ways */
			continue;
		return bpf_probe_read_user(&recording, sizeof(recording), (void *)label.value) ? RECORDING_UNREAD : recording;
	}
	return RECORDING_NONE;
}

/* The recording of a goroutine that has lost its label. */
static __always_inline __u64 known_goroutine(__u64 g)
{
	__u64 id = user_word(g + goroutine_layout.id), *recording;

	recording = bpf_map_lookup_elem(&goroutines, &id);
	if (recording)
		return *recording;
	id = user_word(g + goroutine_layout.creator_id);
	recording = bpf_map_lookup_elem(&goroutines, &id);
	return recording ? *recording : RECORDING_NONE;
}

/* Of the g that the current thread has. Not static: verified once, for itself. */
__noinline __u64 recording_of_goroutine(__u64 own)
{
	__u64 g, recording;

	if (!goroutine_layout.labels)
		return RECORDING_NONE;
	recording = label_of(own);
	if (recording)
		return recording;
	g = running_goroutine(own);
	if (!g)
		return RECORDING_NONE;
	recording = g != own ? label_of(g) : RECORDING_NONE;
	return recording ? recording : known_goroutine(g);
}

/*
 * Memory that the kernel has unmapped to move it is back in some microseconds; a page fault would sleep until then. Not static: the
 * rounds are verified once, not for each way that leads here.
 */
__noinline __u64 await_goroutine(void)
{
	__u64 g = thread_goroutine();

	for (int i = 0; i < MAX_READS && g == GOROUTINE_UNREAD; i++)
		g = thread_goroutine();
	return g;
}

static __always_inline __u64 await_recording(__u64 own)
{
	__u64 recording = recording_of_goroutine(own);

	for (int i = 0; i < MAX_READS && recording == RECORDING_UNREAD; i++)
		recording = recording_of_goroutine(own);
	return recording;
}

/* What thread_goroutine is, if the current task is of the test process; else 0. Not static: verified once, for itself. */
__noinline __u64 goroutine_of_task(void)
{
	struct settings *s = get_settings();

	if (!goroutine_layout.labels || !s || !s->process || s->process != bpf_get_current_pid_tgid() >> 32)
		return 0;
	return await_goroutine();
}

/*
 * The recording to which the current task belongs, or an enum no_recording; g is what goroutine_of_task is for it. Not static: verified
 * once, for itself.
 */
__noinline __u64 recording_by(__u64 g)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32;
	struct settings *s = get_settings();
	__u64 *known;

	if (!goroutine_layout.labels || !s || !s->process)
		return RECORDING_NONE;
	if (g == GOROUTINE_UNREAD)
		return RECORDING_UNREAD;
	if (g)
		return await_recording(g);
	if (process == s->process)
		return RECORDING_NONE;
	known = bpf_map_lookup_elem(&children, &process);
	return known ? *known : RECORDING_NONE;
}

/*
 * The recording to which the current task belongs, or an enum no_recording. Of the test process own becomes the g that the thread has,
 * where there is one and it can be read; else 0.
 */
static __always_inline __u64 recording_of_task(__u64 *own)
{
	__u64 g = goroutine_of_task();

	*own = g == GOROUTINE_UNREAD ? 0 : g;
	return recording_by(g);
}
