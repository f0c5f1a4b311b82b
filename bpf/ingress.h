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
#include <bpf/bpf_endian.h>
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
 * Stores that a remote end initiated the traffic on a datagram socket, unless the socket has sent to it. Not static, so
 * that its stack is not added to that of others.
 */
__noinline int store_initiator(struct __sk_buff *skb, __u64 high, __u64 low, __u32 port)
{
	static const struct peer initiator = { .role = PEER_INITIATED };
	struct peer_key remote = {};
	int err; /* not long: before 6.4 the upper half of a map helper's result is zero */

	remote.cookie = bpf_get_socket_cookie(skb);
	set_addr(remote.addr, high, low);
	remote.port = port;
	if (bpf_map_lookup_elem(&peers, &remote)) /* an update takes a free entry first, if need be from another peer */
		return 0;
	err = bpf_map_update_elem(&peers, &remote, &initiator, BPF_NOEXIST);
	if (err && err != -EEXIST)
		count(LOST_SOCKET);
	return 0;
}

static __always_inline void on_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);
	struct socket *socket;
	struct packet p;
	struct end end;
	__u64 cgroup;
	int first;

	if (!sk)
		return;
	if (sk->type == SOCK_STREAM && sk->dst_port != bpf_htons(DNS_PORT)) /* nearly all packets */
		return;
	if (sk->type != SOCK_DGRAM) {
		first = first_protocol(skb);
		if (first != IPPROTO_TCP && first != IPPROTO_HOPOPTS) /* as BIG TCP does */
			return;
	}
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
	if (p.protocol == IPPROTO_TCP && p.source_port == DNS_PORT)
		dns_segment(skb, p.transport);
	if (!is_udp(p.protocol))
		return;
	if (sk->dst_port && socket && is_connected(socket, p.source, p.source_port))
		return;
	end = end_of(p.source, p.source_port, &p);
	store_initiator(skb, end.high, end.low, end.rest >> 16);
}
