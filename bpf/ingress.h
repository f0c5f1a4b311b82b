/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Packets that arrive: DNS answers, and who initiated the traffic on a datagram socket, so that replies of a server are
 * not flows.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "connect.h"
#include "egress.h"
#include "maps.h"
#include "packet.h"
#include "resolver.h"
#include "sock.h"
#include "unnamed.h"

/*
 * Stores that a remote end initiated the traffic on a datagram socket, unless the socket is connected to it or has sent
 * to it. Not static, so that its stack is not added to that of others.
 */
__noinline int store_initiator(struct __sk_buff *skb)
{
	static const struct peer initiator = { .role = PEER_INITIATED };
	struct bpf_sock *sk = full_socket(skb);
	struct peer_key remote = {};
	struct socket *socket;
	struct packet p;
	int err; /* not long: before 6.4 the upper half of a map helper's result is zero */

	if (!sk || read_packet(skb, &p))
		return 0;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (sk->dst_port && socket && is_connected(socket, p.source, p.source_port))
		return 0;
	remote.cookie = bpf_get_socket_cookie(skb);
	__builtin_memcpy(remote.addr, p.source, sizeof(remote.addr));
	remote.port = p.source_port;
	err = bpf_map_update_elem(&peers, &remote, &initiator, BPF_NOEXIST);
	if (err && err != -EEXIST)
		count(LOST_SOCKET);
	return 0;
}

static __always_inline void on_ingress(struct __sk_buff *skb)
{
	int first = first_protocol(skb);
	struct bpf_sock *sk = full_socket(skb);
	struct socket *socket;
	struct packet p;
	__u64 cgroup;

	if (first < 0 || !sk)
		return;
	if (sk->type != SOCK_DGRAM && first != IPPROTO_TCP && first != IPPROTO_HOPOPTS) /* as BIG TCP does */
		return;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	cgroup = scope_of_datagram(skb, socket);
	if (!cgroup && sk->type != SOCK_DGRAM)
		return;
	if (read_packet(skb, &p)) {
		if (cgroup)
			count(LOST_PACKET);
		return;
	}
	if (p.fragment)
		return;
	if (p.protocol == IPPROTO_UDP && p.source_port == DNS_PORT)
		dns_datagram(skb, p.transport); /* the question has the scope */
	if (!cgroup)
		return;
	count(HIT_INGRESS);
	if (p.protocol == IPPROTO_TCP && p.source_port == DNS_PORT)
		dns_segment(skb, p.transport);
	if (p.protocol == IPPROTO_UDP || p.protocol == IPPROTO_UDPLITE)
		store_initiator(skb);
}
