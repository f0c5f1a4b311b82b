/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Packets that leave: the evidence for every flow but TCP's, which connect has told. Of TCP only the first bytes of a connection
 * are read.
 */
#pragma once

#include "question.h"
#include "speech.h"
#include "tcp_payload.h"

#define ICMP_ECHO 8
#define ICMP_TIMESTAMP 13
#define ICMP_INFORMATION 15
#define ICMP_ADDRESS_MASK 17
#define ICMPV6_ECHO 128
#define ICMPV6_NODE_INFORMATION 139
#define SCTP_INIT 1

/* Whether an ICMP message asks for something. All others answer, or are the kernel's own word to the network. */
static __always_inline int asks(__u8 type)
{
	return type == ICMP_ECHO || type == ICMP_TIMESTAMP || type == ICMP_INFORMATION || type == ICMP_ADDRESS_MASK;
}

/* The same of ICMPv6, by which interfaces find neighbours, routers and listeners as soon as they are up. */
static __always_inline int asks6(__u8 type)
{
	return type == ICMPV6_ECHO || type == ICMPV6_NODE_INFORMATION;
}

/*
 * Whether a packet that no system call has named opens something, rather than answers or carries on. The type of an ICMP
 * message, which has no port, stands in the port's place: one that asks for the time is no ping.
 */
static __always_inline int opens(struct __sk_buff *skb, struct packet *p)
{
	__u8 byte = 0;

	switch (p->protocol) {
	case IPPROTO_TCP: /* of a raw socket */
		return !bpf_skb_load_bytes(skb, p->transport + TCP_FLAGS_OFFSET, &byte, 1) && (byte & 0x12) == 0x02;
	case IPPROTO_SCTP:
		return !bpf_skb_load_bytes(skb, p->transport + 12, &byte, 1) && byte == SCTP_INIT;
	case IPPROTO_ICMP:
		if (bpf_skb_load_bytes(skb, p->transport, &byte, 1))
			return 0;
		p->destination_port = byte;
		return asks(byte);
	case IPPROTO_ICMPV6:
		if (bpf_skb_load_bytes(skb, p->transport, &byte, 1))
			return 0;
		p->destination_port = byte;
		return asks6(byte);
	}
	return 1;
}

static __always_inline void record_unnamed(const struct packet *p, __u64 cgroup)
{
	struct opener nobody = {};
	struct flow_key key = {};

	if (!cgroup)
		return;
	key.cgroup = cgroup;
	__builtin_memcpy(key.addr, p->destination, sizeof(key.addr));
	set_name(&key, 1);
	key.port = p->destination_port;
	key.protocol = p->protocol;
	key.family = p->family;
	record(&key, &nobody);
}

static __always_inline int is_connected(const struct socket *socket, const __u8 *addr, __u16 port)
{
	return socket->connected.port == port && same_addr(socket->connected.addr, addr);
}

/*
 * A datagram left. Its flow is what the program named: the peer with the packet's destination; else, where address translation has
 * changed that, the socket's last word.
 */
static __always_inline void record_datagram(struct __sk_buff *skb, struct bpf_sock *sk, const struct packet *p)
{
	struct socket *socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct peer_key remote = {};
	struct opener opener;
	struct flow_key key;
	struct peer *peer;

	remote.cookie = bpf_get_socket_cookie(skb);
	__builtin_memcpy(remote.addr, p->destination, sizeof(remote.addr));
	remote.port = p->destination_port;
	peer = bpf_map_lookup_elem(&peers, &remote);
	if (peer && peer->first == PEER_SPOKE_FIRST)
		return;
	if (peer) {
		__builtin_memset(&key, 0, sizeof(key));
		key.cgroup = peer->cgroup;
		key.netns = peer->netns;
		key.name = peer->name;
		key.since = peer->since;
		key.bound = peer->bound;
		key.recording = peer->recording;
		key.executable = peer->executable;
		__builtin_memcpy(key.addr, p->destination, sizeof(key.addr));
		key.port = p->destination_port;
		key.protocol = p->protocol;
		key.family = p->family;
		opener = peer->opener;
	} else if (socket && is_connected(socket, p->destination, p->destination_port)) {
		key = socket->connected;
		opener = socket->connected_by;
	} else if (socket && socket->named.port) {
		key = socket->named;
		opener = socket->named_by;
	} else if (socket && socket->connected.port) {
		key = socket->connected;
		opener = socket->connected_by;
	} else {
		record_unnamed(p, scope_of_datagram(skb, socket));
		return;
	}
	record(&key, &opener);
}

/* A packet of another socket than TCP's own. Not static, so that its stack is not added to that of read_speech. */
__noinline int read_departure(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct socket *socket;
	struct packet p;

	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (read_packet(skb, &p)) {
		if (scope_of_datagram(skb, socket))
			count(LOST_PACKET);
		return 0;
	}
	if (p.fragment)
		return 0;
	count(HIT_EGRESS);
	if ((p.protocol == IPPROTO_UDP || p.protocol == IPPROTO_UDPLITE) && sk->type == SOCK_DGRAM)
		record_datagram(skb, sk, &p);
	else if ((p.protocol != IPPROTO_TCP || sk->type == SOCK_RAW) && opens(skb, &p)) /* first: what opens nothing adopts no cgroup */
		record_unnamed(&p, scope_of_datagram(skb, socket));
	return 0;
}

static __always_inline void on_egress(struct __sk_buff *skb)
{
	int first = first_protocol(skb);
	struct bpf_sock *sk = skb->sk;

	if (first < 0 || !sk)
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return;
	if (sk->type == SOCK_STREAM && sk->protocol == IPPROTO_TCP) {
		if (sk->dst_port == bpf_htons(DNS_PORT))
			question_segment(skb);
		if (bpf_sk_storage_get(&speakers, sk, 0, 0))
			read_speech(skb);
		note_connection(skb, sk);
		return;
	}
	if (first != IPPROTO_TCP || sk->type == SOCK_RAW)
		read_departure(skb);
	if (sk->type == SOCK_DGRAM)
		note_question(skb);
}
