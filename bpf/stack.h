/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The call stack of the goroutine that opens a new flow. For the length of a system call, the runtime stores where the
 * call came from; frame pointers lead outward from there. It is sent before its flow, which may never come for
 * datagrams.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "goroutine.h"
#include "layout.h"
#include "maps.h"

/*
 * A word of a g. Its first words are in frames if they could be read: to read hundreds of bytes costs hardly more than
 * to read one word. The verifier knows the offset, and removes dead code.
 */
static __always_inline __u64 goroutine_u64(const __u64 *frames, int read, __u64 g, __u32 offset)
{
	if (offset % sizeof(__u64) || offset / sizeof(__u64) >= MAX_FRAMES)
		return read_user_u64(g + offset);
	return read ? frames[offset / sizeof(__u64)] : read_user_u64(g + offset);
}

/* thread_g is the g of the thread. */
static __always_inline void report_stack(const struct flow_key *key, __u64 thread_g)
{
	struct {
		__u64 next, address;
	} frame;
	struct stack_event *e;
	__u64 g, at, first;
	__u32 length;
	int read;

	if (!goroutine_layout.labels || !thread_g)
		return;
	g = running_goroutine(thread_g);
	if (!g || !read_user_u64(g + goroutine_layout.syscall_sp))
		return;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(LOST_STACK_EVENT);
		return;
	}
	read = !bpf_probe_read_user(e->frames, sizeof(e->frames), (void *)g);
	e->kind = EVENT_STACK;
	e->key = *key;
	e->goroutine = goroutine_u64(e->frames, read, g, goroutine_layout.id);
	e->parent = goroutine_u64(e->frames, read, g, goroutine_layout.creator_id);
	e->creator = goroutine_u64(e->frames, read, g, goroutine_layout.creator);
	first = goroutine_u64(e->frames, read, g, goroutine_layout.syscall_pc);
	at = goroutine_u64(e->frames, read, g, goroutine_layout.syscall_bp);
	e->frames[0] = first;
	for (length = 1; length < MAX_FRAMES; length++) {
		if (!at || bpf_probe_read_user(&frame, sizeof(frame), (void *)at) || !frame.address)
			break;
		e->frames[length] = frame.address;
		if (frame.next <= at) { /* the outermost */
			length++;
			break;
		}
		at = frame.next;
	}
	e->length = length;
	bpf_ringbuf_submit(e, 0); /* wakes the reader: nothing else may follow */
}
