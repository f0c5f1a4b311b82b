/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Which task sends a packet, read from the kernel's memory. A datagram, and whatever a raw socket sends, leaves within the system call of
 * its sender, so that the current task is the sender, whoever made the socket; threads that io_uring starts are in their process's cgroup,
 * too (from 5.12 on). Timers, acknowledgements and kernel workers send for TCP and SCTP, and for sockets that no program holds: the current task says
 * nothing of those.
 *
 * Needs BTF of the kernel (struct sender_layout). Not seen without it: who sends on a socket that another cgroup's process made.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "kernel.h"
#include "scope.h"

const volatile struct sender_layout sender_layout;

/*
 * The functions here that are not static are verified once, each for itself. Before 6.8 that is so whether or not they are called,
 * therefore each asks for the layout.
 */

/* The id of the current thread in the initial pid namespace, or 0. */
__noinline __u32 sending_thread(void)
{
	if (!sender_layout.pid) /* the verifier knows the value, and drops the rest */
		return 0;
	return kernel_half(bpf_get_current_task(), sender_layout.pid);
}

/* The id of the current process there, or 0. */
static __always_inline __u32 sending_process(void)
{
	return family_layout.tgid ? kernel_half(bpf_get_current_task(), family_layout.tgid) : 0;
}

/* The id of the ancestor of a cgroup at a level, or 0. */
static __always_inline __u64 ancestor_of(__u64 cgroup, __u32 level)
{
	if (!level || level >= MAX_LEVEL || kernel_half(cgroup, sender_layout.level) < level)
		return 0;
	if (sender_layout.ancestor_ids)
		return kernel_word(cgroup, sender_layout.ancestor_ids + level * sizeof(__u64));
	cgroup = kernel_word(cgroup, sender_layout.ancestors + level * sizeof(__u64));
	return kernel_word(kernel_word(cgroup, sender_layout.node), sender_layout.id);
}

/* What scope_of_task does, from any program. */
__noinline __u64 scope_of_sender(void)
{
	__u64 cgroup, id, leaf;
	struct scope *scope;
	struct settings *s;

	if (!sender_layout.pid)
		return 0;
	cgroup = kernel_word(kernel_word(bpf_get_current_task(), sender_layout.cgroups), sender_layout.cgroup);
	id = kernel_word(kernel_word(cgroup, sender_layout.node), sender_layout.id);
	if (!id)
		return 0;
	scope = bpf_map_lookup_elem(&scopes, &id);
	if (scope && scope->state == SCOPE_WATCHED)
		return id;
	s = get_settings();
	if (!s)
		return 0;
	leaf = scope_of_descendant(s, sending_process());
	if (leaf)
		return leaf;
	if (scope)
		return scope->state == SCOPE_IGNORED ? 0 : id;
	if (id < s->new_cgroups_after)
		return was_entered(id) ? track(id) : 0;
	leaf = ancestor_of(cgroup, s->level);
	if (leaf && is_watched(leaf))
		return leaf;
	return s->new_cgroups_after ? track(id) : 0;
}

/* The address of a packet's socket, as a number. */
static __always_inline __u64 socket_address(struct bpf_sock *sk)
{
	__u64 at;

	return bpf_probe_read_kernel(&at, sizeof(at), &sk) ? 0 : at;
}

/* Whether a task is in a system call on the packet's socket: then it is the current one. */
static __always_inline int is_owned(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sender_layout.owned || !sk)
		return 0;
	return !!kernel_half(socket_address(sk), sender_layout.owned);
}

/* Whether a program holds the packet's socket. The kernel's own ones, which answer pings and refuse connections, have no file. */
__noinline int has_file(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sender_layout.pid || !sk)
		return 0;
	return !!kernel_word(kernel_word(socket_address(sk), sender_layout.socket), sender_layout.file);
}

/* The cookie of the network namespace that a packet leaves, or 0. */
__noinline __u64 netns_of_packet(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sender_layout.pid || !sk)
		return 0;
	return kernel_word(kernel_word(socket_address(sk), sender_layout.net), sender_layout.net_cookie);
}
