/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The call stack of the goroutine that opens something new. The runtime has noted, for the length of the system call, where it came from; from there
 * frame pointers lead outward. It is told before the flow that it belongs to, which for datagrams may never come.
 */
#pragma once

#include "goroutine.h"

static __always_inline void tell_stack(const struct flow_key *key)
{
	struct { __u64 next, address; } frame;
	struct stack_event *e;
	struct settings *s;
	__u32 zero = 0;
	__u64 g, at;

	if (!goroutine_layout.labels)
		return;
	s = bpf_map_lookup_elem(&config, &zero);
	if (!s || !s->process || s->process != bpf_get_current_pid_tgid() >> 32)
		return;
	g = running_goroutine(thread_goroutine());
	if (!g || !user_word(g + goroutine_layout.syscall_sp))
		return;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return; /* so is the flow, which is counted */
	e->kind = EVENT_STACK;
	e->key = *key;
	e->goroutine = user_word(g + goroutine_layout.id);
	e->parent = user_word(g + goroutine_layout.creator_id);
	e->creator = user_word(g + goroutine_layout.creator);
	e->frames[0] = user_word(g + goroutine_layout.syscall_pc);
	at = user_word(g + goroutine_layout.syscall_bp);
	e->length = 1;
	for (__u32 i = 1; i < MAX_FRAMES; i++) {
		if (!at || bpf_probe_read_user(&frame, sizeof(frame), (void *)at) || !frame.address)
			break;
		e->frames[i] = frame.address;
		e->length = i + 1;
		if (frame.next <= at) /* the outermost */
			break;
		at = frame.next;
	}
	bpf_ringbuf_submit(e, 0); /* wakes the reader: it may be that nothing follows */
}
