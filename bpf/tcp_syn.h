/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * TCP connections without a connect in scope: the kernel opens them for a socket in scope, as MPTCP does to further
 * addresses of its peer, or another process does on a socket that it received. They are reported by their SYN.
 *
 * Not seen: connections of a socket that the kernel created in its own cgroup, as MPTCP did before Linux 5.11.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "connect.h"
#include "maps.h"
#include "packet.h"
#include "scope.h"
#include "sender.h"
#include "sock.h"
#include "tcp_connections.h"
#include "unnamed.h"

#define TCP_STATE_SYN_SENT 2

/*
 * Whether the current thread has just connected by MPTCP to the destination of the packet's socket: that connect was
 * reported.
 */
static __always_inline int is_mptcp_connect(const struct bpf_sock *sk, const struct packet *p)
{
	__u32 thread = sending_thread();
	struct destination *d = bpf_map_lookup_elem(&destinations, &thread);

	if (!d || d->remote.cookie != CONNECTS_BY_MPTCP || !goes_to(sk, d->remote.addr, d->remote.port, p->family))
		return 0;
	d->remote.cookie = 0;
	return 1;
}

/*
 * Returns non-zero if the SYN is refused; it is read again when it is retransmitted. Not static, so that its stack is
 * not added to that of others.
 */
__noinline int read_syn(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);
	struct settings *s;
	struct packet p;
	__u64 cgroup;
	__u32 *reported;

	if (!sk || bpf_sk_storage_get(&connections, sk, 0, 0) || bpf_sk_storage_get(&syns, sk, 0, 0))
		return 0;
	cgroup = scope_of_packet(skb);
	if (!cgroup)
		return 0;
	if (read_packet(skb, &p)) {
		count(LOST_PACKET);
		return 0;
	}
	reported = bpf_sk_storage_get(&syns, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	s = get_settings();
	if (reported && s)
		*reported = s->generation;
	else
		count(LOST_SOCKET);
	if (is_mptcp_connect(sk, &p) || !record_unnamed(skb, &p, cgroup))
		return 0;
	bpf_sk_storage_delete(&syns, sk);
	return 1;
}
