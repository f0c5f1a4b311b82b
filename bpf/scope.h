/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The scope of a task or of a socket, and the name in it that led to an address. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "enter.h"
#include "pid_namespace.h"
#include "kernel.h"
#include "maps.h"
#include "verifier.h"

const volatile struct family_layout family_layout;

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

/*
 * A descendant of the test process creates a socket outside of the leaf, or a process of a container outside of its
 * cgroup. The socket belongs to the scope that the process left. From its packets only the cgroup in which it was
 * created can be read.
 */
static __always_inline void on_create(struct bpf_sock *ctx)
{
	__u64 id = bpf_get_current_cgroup_id(), leaf;
	struct settings *s = get_settings();
	struct socket *socket;

	if (!s || id == s->leaf)
		return;
	leaf = scope_of_descendant(s, bpf_get_current_pid_tgid() >> 32);
	if (!leaf)
		leaf = scope_left(s);
	if (!leaf)
		return;
	socket = bpf_sk_storage_get(&sockets, ctx, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket)
		socket->cgroup = leaf;
	else
		count(LOST_SOCKET);
}

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

	if (!task_layout.name) /* a constant to the verifier, which removes dead code */
		return 0;
	return kernel_word(kernel_word(kernel_word(at, task_layout.mm), task_layout.exe_file), task_layout.dentry);
}

static __always_inline void set_executable(struct initiator *o)
{
	__u64 at;

	if (!task_layout.name)
		return;
	at = kernel_word(executable_entry(), task_layout.name);
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

#define CANDIDATE_NS 5000000000ULL /* how long after its answer a query may lead to a connection */

/*
 * Sets name and since of a key for a new connection of its scope to its address. With uses it consumes a query, and
 * returns whether one was pending. With DNS_MATCH_NONE the name is that of another connection's query, or none.
 */
static __always_inline enum dns_match set_name(struct flow_key *key, int uses)
{
	struct scope *scope = bpf_map_lookup_elem(&scopes, &key->cgroup);
	struct name_key address = { .cgroup = key->cgroup };
	__u64 now, match = unknown_zero(); /* DNS_MATCH_NONE */
	struct name *name;

	if (!scope)
		return match;
	key->name = scope->epoch;
	__builtin_memcpy(address.addr, key->addr, sizeof(address.addr));
	name = bpf_map_lookup_elem(&names, &address);
	if (!name)
		return match;
	now = bpf_ktime_get_ns(); /* here, because no helper may be called under the lock */
	bpf_spin_lock(&name->lock);
	if (name->epoch == key->name) {
		if (name->changed == name->since) {
			key->name = name->last;
		} else {
			key->name = name->changed;
			key->since = name->since;
		}
		if (uses && name->pending) {
			name->pending--;
			if (now < name->time + CANDIDATE_NS)
				match = DNS_MATCH;
		}
	}
	bpf_spin_unlock(&name->lock);
	return match;
}

/* The current value of flow_key.bound for a port. Not static, so that it is verified once. */
__noinline __u64 bound_of(__u64 netns, __u32 port, __u32 protocol)
{
	struct port_key key = { .netns = netns, .port = port, .protocol = protocol };
	__u64 *bound;

	if (!*bound_port(port)) /* nearly all ports: those of remote servers */
		return 0;
	bound = bpf_map_lookup_elem(&ports, &key);
	return bound ? *bound : 0;
}
