/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Which recording a task belongs to: in the test process that of the goroutine that runs on the thread, by the label that it
 * inherited; in processes that descend from it, that of the goroutine that started them (children.h).
 *
 * A goroutine's labels are a list of pairs of strings. Ours has a name at a known address and a value of 8 bytes, which are
 * the recording's id. Where the program under test has replaced the labels by its own, the ids of the goroutine and of its parent are
 * looked up. Not seen: threads that the Go runtime does not know.
 */
#pragma once

#include "maps.h"

#define MAX_LABELS 16

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

/*
 * Processes that the test process has started, and theirs: process id -> recording. With its room from the start: programs on tracepoints
 * may not allocate.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u64);
} children SEC(".maps");

static __always_inline __u64 user_word(__u64 at)
{
	__u64 word;

	return bpf_probe_read_user(&word, sizeof(word), (void *)at) ? 0 : word;
}

static __always_inline __u64 kernel_word(__u64 at)
{
	__u64 word;

	return bpf_probe_read_kernel(&word, sizeof(word), (void *)at) ? 0 : word;
}

/* The g that the current thread has, or 0. */
static __always_inline __u64 thread_goroutine(void)
{
	__u64 at = bpf_get_current_task();

	if (goroutine_layout.registers) { /* the verifier knows these values, and drops the rest */
		at = kernel_word(at + goroutine_layout.stack);
		return at ? kernel_word(at + goroutine_layout.registers) : 0;
	}
	at = kernel_word(at + goroutine_layout.thread);
	return at ? user_word(at + goroutine_layout.slot) : 0;
}

/* The g that a thread runs, whose g is this. While C runs that is the thread's own, whose id is 0. */
static __always_inline __u64 running_goroutine(__u64 g)
{
	if (!g || !goroutine_layout.m || user_word(g + goroutine_layout.id))
		return g;
	g = user_word(g + goroutine_layout.m);
	return g ? user_word(g + goroutine_layout.current) : 0;
}

static __always_inline __u64 label_of(__u64 g)
{
	struct { __u64 first, length; } list;
	struct { __u64 key, key_length, value, value_length; } label;
	__u64 set = user_word(g + goroutine_layout.labels), *known;

	if (!set)
		return 0;
	known = bpf_map_lookup_elem(&label_sets, &set);
	if (known)
		return *known;
	if (bpf_probe_read_user(&list, sizeof(list), (void *)(set + goroutine_layout.list)))
		return 0;
	for (__u32 i = 0; i < MAX_LABELS && i < list.length; i++) {
		if (bpf_probe_read_user(&label, sizeof(label), (void *)(list.first + i * sizeof(label))))
			return 0;
		if (label.key == goroutine_layout.key && label.key_length == goroutine_layout.key_length &&
		    label.value_length == sizeof(__u64))
			return user_word(label.value);
	}
	return 0;
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
	return recording ? *recording : 0;
}

static __always_inline __u64 recording_of_goroutine(void)
{
	__u64 own = thread_goroutine(), g, recording;

	recording = own ? label_of(own) : 0;
	if (recording)
		return recording;
	g = running_goroutine(own);
	if (!g)
		return 0;
	recording = g != own ? label_of(g) : 0;
	return recording ? recording : known_goroutine(g);
}

/* The recording to which the current task belongs; 0 where that is not certain. */
static __always_inline __u64 recording_of_task(void)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32;
	__u64 *recording;
	struct settings *s;
	__u32 zero = 0;

	if (!goroutine_layout.labels)
		return 0;
	s = bpf_map_lookup_elem(&config, &zero);
	if (!s || !s->process)
		return 0;
	if (process == s->process)
		return recording_of_goroutine();
	recording = bpf_map_lookup_elem(&children, &process);
	return recording ? *recording : 0;
}
