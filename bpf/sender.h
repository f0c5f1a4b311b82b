/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Which task sends a packet, read from kernel memory. Datagrams and packets of raw sockets leave within the system call
 * of their sender. So the current task is the sender, no matter which task created the socket. Threads of io_uring are
 * in the cgroup of their process (since 5.12). TCP, SCTP and sockets without a file also send from timers,
 * acknowledgements and kernel workers: the current task is not their sender.
 *
 * Needs BTF of the kernel (struct sender_layout). Not seen without it: who sends on a socket that a process of another
 * cgroup created.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "cgroup_tracking.h"
#include "enter.h"
#include "kernel.h"
#include "layout.h"
#include "maps.h"
#include "scope.h"

/* The id of the current thread in the initial pid namespace, or 0. */
static __always_inline __u32 sending_thread(void)
{
	if (!sender_layout.pid)
		return 0;
	return read_kernel_u32(bpf_get_current_task(), sender_layout.pid);
}

/* The id of the current process there, or 0. */
static __always_inline __u32 sending_process(void)
{
	return family_layout.tgid ? read_kernel_u32(bpf_get_current_task(), family_layout.tgid) : 0;
}

/* The id of a cgroup's ancestor at a level, or 0. */
static __always_inline __u64 ancestor_of(__u64 cgroup, __u32 level)
{
	if (!level || level >= MAX_LEVEL || read_kernel_u32(cgroup, sender_layout.level) < level)
		return 0;
	if (sender_layout.ancestor_ids)
		return read_kernel_u64(cgroup, sender_layout.ancestor_ids + level * sizeof(__u64));
	cgroup = read_kernel_u64(cgroup, sender_layout.ancestors + level * sizeof(__u64));
	return id_of_cgroup(cgroup);
}

/* The same as scope_of_task, for any type of program. */
__noinline __u64 scope_of_sender(void)
{
	__u64 cgroup, id, leaf;
	struct scope *scope;
	struct settings *s;

	if (!sender_layout.pid)
		return 0;
	cgroup = cgroup_of_task(bpf_get_current_task());
	id = id_of_cgroup(cgroup);
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

/* Whether a task is in a system call on the packet's socket: it is the current one then. */
static __always_inline int is_owned(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sender_layout.owned || !sk)
		return 0;
	return !!read_kernel_u32(socket_address(sk), sender_layout.owned);
}

/*
 * Whether the packet's socket has a file. The kernel's own sockets, which answer pings and refuse connections, have
 * none.
 */
__noinline int has_file(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sender_layout.pid || !sk)
		return 0;
	return !!read_kernel_u64(read_kernel_u64(socket_address(sk), sender_layout.socket), sender_layout.file);
}

/* The cookie of the network namespace that a packet leaves, or 0. */
__noinline __u64 netns_of_packet(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sender_layout.pid || !sk)
		return 0;
	return read_kernel_u64(read_kernel_u64(socket_address(sk), sender_layout.net), sender_layout.net_cookie);
}
