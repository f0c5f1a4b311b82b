/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The scope and flow of packets to a destination that no system call in scope named. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "addr.h"
#include "dns_name.h"
#include "enforce.h"
#include "flow.h"
#include "maps.h"
#include "packet.h"
#include "scope.h"
#include "sender.h"
#include "sock.h"

/*
 * The scope of a datagram or raw socket: that of its user, as a system call, a packet or user space has set it, else
 * that of its creator.
 */
static __always_inline __u64 scope_of_datagram(struct __sk_buff *skb, const struct socket *socket)
{
	if (!socket || !socket->cgroup)
		return scope_of_packet(skb);
	return is_recorded(socket->cgroup) ? socket->cgroup : 0;
}

/*
 * The scope of the sender of a packet on a datagram or raw socket: that of the current task if it is in scope, else
 * that of the socket. From then on the socket belongs to its sender, so that answers do too.
 */
__noinline __u64 scope_of_outgoing(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);
	struct socket *socket;
	__u64 cgroup;

	if (!sk)
		return 0;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!has_file(skb))
		return scope_of_datagram(skb, socket);
	cgroup = scope_of_sender();
	if (!cgroup)
		return scope_of_datagram(skb, socket);
	if (!socket)
		socket = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket)
		socket->cgroup = cgroup;
	else
		count(LOST_SOCKET);
	return cgroup;
}

/* Whether a socket is connected to an address now, no matter who connected it. */
static __always_inline int goes_to(const struct bpf_sock *sk, const __u8 *addr, __u16 port, __u8 family)
{
	__u32 ip6[4] = { sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2], sk->dst_ip6[3] }, ip4 = sk->dst_ip4;

	/* Otherwise the compiler selects the field's address, a pointer that the verifier does not know. */
	asm volatile("" : "+r"(ip4));
	if (bpf_ntohs(sk->dst_port) != port)
		return 0;
	return family == 4 ? ((const __u32 *)addr)[3] == ip4 : same_addr(addr, (const __u8 *)ip6);
}

/* The destination of a packet as numbers, which functions that are not static can take as arguments. */
struct end {
	__u64 high; /* halves of the address, in memory order */
	__u64 low;
	__u32 rest; /* port << 16 | protocol << 8 | family */
	__u32 padding;
};

static __always_inline struct end end_of(const __u8 *addr, __u16 port, const struct packet *p)
{
	struct end end = { .rest = (__u32)port << 16 | (__u32)p->protocol << 8 | p->family };

	__builtin_memcpy(&end.high, addr, sizeof(end.high));
	__builtin_memcpy(&end.low, addr + sizeof(end.high), sizeof(end.low));
	return end;
}

static __always_inline void set_addr(__u8 *addr, __u64 high, __u64 low)
{
	__builtin_memcpy(addr, &high, sizeof(high));
	__builtin_memcpy(addr + sizeof(high), &low, sizeof(low));
}

static __always_inline void set_end(struct flow_key *key, __u64 high, __u64 low, __u32 rest)
{
	set_addr(key->addr, high, low);
	key->port = rest >> 16;
	key->protocol = rest >> 8;
	key->family = rest;
}

/*
 * Returns non-zero if the packet is refused. Not static, so that its stack is not added to that of others.
 */
__noinline int record_packet(struct __sk_buff *skb, __u64 cgroup, __u64 high, __u64 low, __u32 rest)
{
	static const struct initiator unknown_initiator;
	struct flow_key key = {};

	key.cgroup = cgroup;
	key.netns = netns_of_packet(skb);
	set_end(&key, high, low, rest);
	set_name(&key, 1);
	record(&key, &unknown_initiator);
	return refuses_packet(skb, &key);
}

/* Returns non-zero if the packet is refused. */
static __always_inline int record_unnamed(struct __sk_buff *skb, const struct packet *p, __u64 cgroup)
{
	struct end end = end_of(p->destination, p->destination_port, p);

	return cgroup ? record_packet(skb, cgroup, end.high, end.low, end.rest) : 0;
}
