/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Folding: a new flow is reported to user space, a known one is only counted. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "cgroup_tracking.h"
#include "maps.h"
#include "scope.h"

/* Completes the key of a flow, and looks it up. */
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

/* Counts a known flow. Returns 0 if it is not known. */
static __always_inline int count_known(struct flow_key *key)
{
	struct flow *f = find_flow(key);

	if (f)
		__sync_fetch_and_add(&f->count, 1);
	return !!f;
}

/* Counts a known flow of a scope that is still recorded. Returns 0 if it is not. The key may be in a map. */
static __always_inline int count_recorded(struct flow_key *key)
{
	return is_recorded(key->cgroup) && count_known(key);
}

/* opened and hint are those of struct flow_event. */
static __always_inline void record_new_of(struct flow_key *key, const struct initiator *initiator, __u32 opened,
					  __u64 hint)
{
	struct flow fresh = { .count = 1, .first = bpf_ktime_get_ns(), .initiator = *initiator };
	struct flow_event *e;
	int err; /* not long: before 6.4 the upper half of a map helper's result is zero */

	if (!is_recorded(key->cgroup)) /* the scope is ignored meanwhile */
		return;
	err = bpf_map_update_elem(&flows, key, &fresh, BPF_NOEXIST);
	if (err == -EEXIST) { /* another CPU was faster and reports it */
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
