/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Folding: a flow that is new goes to user space, one that is known is only counted. */
#pragma once

#include "scope.h"

static __always_inline void record(struct flow_key *key, const struct opener *opener)
{
	struct settings *s = get_settings();
	struct flow fresh = { .count = 1, .opener = *opener };
	struct flow_event *e;
	struct flow *f;
	int err; /* not long: before 6.4 the upper half of what map helpers return is zero */

	if (s)
		key->generation = s->generation;
	f = bpf_map_lookup_elem(&flows, key);
	if (f) {
		__sync_fetch_and_add(&f->count, 1);
		return;
	}
	fresh.first = bpf_ktime_get_ns();
	err = bpf_map_update_elem(&flows, key, &fresh, BPF_NOEXIST);
	if (err == -EEXIST) { /* another CPU was faster, and tells user space */
		f = bpf_map_lookup_elem(&flows, key);
		if (f)
			__sync_fetch_and_add(&f->count, 1);
		return;
	}
	if (err) {
		count(LOST_FLOW_ENTRY);
		return;
	}
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(LOST_FLOW_EVENT);
		return;
	}
	e->kind = EVENT_FLOW;
	e->reserved = 0;
	e->time = fresh.first;
	e->key = *key;
	e->opener = *opener;
	bpf_ringbuf_submit(e, 0);
}
