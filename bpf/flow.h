/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Folding: a flow that is new goes to user space, one that is known is only counted. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>

#include "scope.h"

/* Looks a flow up, and completes its key. */
static __always_inline struct flow *find_flow(struct flow_key *key)
{
	struct settings *s = get_settings();

	if (s)
		key->generation = s->generation;
	key->cgroup_generation = cgroup_generation;
	return bpf_map_lookup_elem(&flows, key);
}

static __always_inline int is_known(struct flow_key *key)
{
	return !!find_flow(key);
}

/* Counts a flow that is known; 0 where it is not. */
static __always_inline int count_known(struct flow_key *key)
{
	struct flow *f = find_flow(key);

	if (f)
		__sync_fetch_and_add(&f->count, 1);
	return !!f;
}

/* opened and said are those of struct flow_event. */
static __always_inline void record_new_of(struct flow_key *key, const struct initiator *initiator, __u32 opened, __u64 hint)
{
	struct flow fresh = { .count = 1, .first = bpf_ktime_get_ns(), .initiator = *initiator };
	struct flow_event *e;
	int err; /* not long: before 6.4 the upper half of what map helpers return is zero */

	if (!is_recorded(key->cgroup)) /* no more, of a socket or a peer that named it before */
		return;
	err = bpf_map_update_elem(&flows, key, &fresh, BPF_NOEXIST);
	if (err == -EEXIST) { /* another CPU was faster, and tells user space */
		count_known(key);
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
	e->opened = opened;
	e->time = fresh.first;
	e->hint = hint;
	e->key = *key;
	e->initiator = *initiator;
	bpf_ringbuf_submit(e, 0);
}

static __always_inline void record_new(struct flow_key *key, const struct initiator *initiator)
{
	record_new_of(key, initiator, 0, 0);
}

static __always_inline void record(struct flow_key *key, const struct initiator *initiator)
{
	if (!count_known(key))
		record_new(key, initiator);
}
