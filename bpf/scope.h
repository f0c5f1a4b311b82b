/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Which cgroup's events an event belongs to: the scope of a task or of a packet's socket.
 *
 * In this order: a cgroup that user space watches; the leaf, for a descendant of the test process in any cgroup; a
 * tracked cgroup; the cgroup of the container that the task has left; a cgroup that is nested in a watched one; a new
 * cgroup, which is tracked from now on. For a packet only its socket's cgroup is known (scope_of_sender in sender.h
 * reads the task that sends it).
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "cgroup_tracking.h"
#include "enter.h"
#include "maps.h"
#include "pid_namespace.h"

/* Whether the events of a cgroup are recorded; 0 if it is not in scopes. */
static __always_inline int is_recorded(__u64 id)
{
	struct scope *scope = bpf_map_lookup_elem(&scopes, &id);

	return scope && scope->state != SCOPE_IGNORED;
}

/* Whether user space requested a cgroup, and so all cgroups nested in it. */
static __always_inline int is_watched(__u64 id)
{
	struct scope *scope = bpf_map_lookup_elem(&scopes, &id);

	return scope && scope->state == SCOPE_WATCHED;
}

/* The leaf's id if a process is the test process or its descendant, in any cgroup; else 0. */
static __always_inline __u64 scope_of_descendant(const struct settings *s, __u32 process)
{
	if (!s->ancestor)
		return 0;
	return process == s->ancestor || bpf_map_lookup_elem(&children, &process) ? s->leaf : 0;
}

/* The id of the container's cgroup that the current task has left, or 0. */
static __always_inline __u64 scope_left(const struct settings *s)
{
	__u64 id = s->new_cgroups_after ? cgroup_left() : 0;
	struct scope *scope;

	if (!id)
		return 0;
	scope = bpf_map_lookup_elem(&scopes, &id);
	if (scope)
		return scope->state == SCOPE_IGNORED ? 0 : id;
	return track(id); /* without names: the task's path is another one */
}

/* The id of the current task's scope, or 0. Not static, so that it is verified once. */
__noinline __u64 scope_of_task(void)
{
	__u64 id = bpf_get_current_cgroup_id(), ancestor;
	struct scope *scope = bpf_map_lookup_elem(&scopes, &id);
	struct settings *s;

	if (scope && scope->state == SCOPE_WATCHED)
		return id;
	s = get_settings();
	if (!s)
		return 0;
	ancestor = scope_of_descendant(s, bpf_get_current_pid_tgid() >> 32);
	if (ancestor)
		return ancestor;
	if (scope && scope->state == SCOPE_TRACKED) {
		if (!scope->named)
			report_names(id, scope);
		return id;
	}
	ancestor = scope_left(s);
	if (ancestor)
		return ancestor;
	if (scope)
		return 0;
	if (id < s->new_cgroups_after)
		return was_entered(id) ? track(id) : 0;
	if (s->level) {
		ancestor = bpf_get_current_ancestor_cgroup_id(s->level);
		if (ancestor && is_watched(ancestor))
			return ancestor;
	}
	return s->new_cgroups_after ? track_current(id) : 0;
}

/* The id of the scope in which the packet's socket was created, or 0. Not static, so that it is verified once. */
__noinline __u64 scope_of_packet(struct __sk_buff *skb)
{
	__u64 id = bpf_skb_cgroup_id(skb), ancestor;
	struct scope *scope = bpf_map_lookup_elem(&scopes, &id);
	struct settings *s;

	if (scope)
		return scope->state == SCOPE_IGNORED ? 0 : id;
	s = get_settings();
	if (!s)
		return 0;
	if (id < s->new_cgroups_after)
		return was_entered(id) ? track(id) : 0;
	if (s->level) {
		ancestor = bpf_skb_ancestor_cgroup_id(skb, s->level);
		if (ancestor && is_watched(ancestor))
			return ancestor;
	}
	return s->new_cgroups_after ? track(id) : 0;
}
