/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Sockets that a process creates outside of the cgroup to which it belongs. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "maps.h"
#include "scope.h"

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
