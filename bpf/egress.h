/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Packets that leave: the evidence for every flow except TCP, which connect or the SYN (tcp_syn.h) reports. Of TCP,
 * only the first payload of a client and queries to a resolver are read.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "addr.h"
#include "connect.h"
#include "enforce.h"
#include "enforce_datagram.h"
#include "enforce_names.h"
#include "flow.h"
#include "layout.h"
#include "maps.h"
#include "packet.h"
#include "question.h"
#include "scope.h"
#include "sender.h"
#include "sock.h"
#include "tcp_payload.h"
#include "tcp_reuse.h"
#include "tcp_syn.h"
#include "unnamed.h"
#include "verifier.h"

#define ICMP_ECHO 8
#define ICMP_TIMESTAMP 13
#define ICMP_INFORMATION 15
#define ICMP_ADDRESS_MASK 17
#define ICMP_EXTENDED_ECHO 42
#define ICMPV6_ECHO 128
#define ICMPV6_NODE_INFORMATION 139
#define ICMPV6_EXTENDED_ECHO 160
#define SCTP_CHUNK 12 /* offset of the type of the first chunk */
#define SCTP_INIT 1

/* Whether an ICMP message is a request. All others are replies, or sent by the kernel itself. */
static __always_inline int is_icmp_request(__u8 type)
{
	return type == ICMP_ECHO || type == ICMP_TIMESTAMP || type == ICMP_INFORMATION || type == ICMP_ADDRESS_MASK ||
	       type == ICMP_EXTENDED_ECHO;
}

/*
 * The same for ICMPv6. Neighbour, router and listener discovery are not requests: the kernel sends them for any
 * interface.
 */
static __always_inline int is_icmpv6_request(__u8 type)
{
	return type == ICMPV6_ECHO || type == ICMPV6_NODE_INFORMATION || type == ICMPV6_EXTENDED_ECHO;
}

/* Sets the port to the type of an ICMP message: a timestamp request differs from a ping. */
static __always_inline int read_type(struct __sk_buff *skb, struct packet *p)
{
	__u8 type;

	if (p->protocol != IPPROTO_ICMP && p->protocol != IPPROTO_ICMPV6)
		return 0;
	if (bpf_skb_load_bytes(skb, p->transport, &type, 1))
		return -1;
	p->destination_port = type;
	return 0;
}

/*
 * Whether a packet opens a flow, if no system call named its destination: the kernel may have sent it as a reply or on
 * an existing flow.
 */
static __always_inline int opens(struct __sk_buff *skb, struct packet *p)
{
	struct tcp_header tcp;
	__u8 chunk;

	switch (p->protocol) {
	case IPPROTO_TCP: /* of a raw socket */
		return !read_tcp(skb, p->transport, &tcp) && (tcp.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	case IPPROTO_SCTP:
		return !bpf_skb_load_bytes(skb, p->transport + SCTP_CHUNK, &chunk, 1) && chunk == SCTP_INIT;
	case IPPROTO_ICMP:
		return is_icmp_request(p->destination_port);
	case IPPROTO_ICMPV6:
		return is_icmpv6_request(p->destination_port);
	}
	return 1;
}

/*
 * Whether a program builds the packets of a socket itself. Then each packet opens a flow. The kernel has raw sockets
 * of its own for ICMP and TCP. If the file of a socket cannot be read, a socket in sockets is a program's. Not static,
 * so that it is verified once.
 */
__noinline int builds_packets(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);

	if (!sk)
		return 0;
	if (sk->type == SOCK_DGRAM)
		return sk->protocol == IPPROTO_ICMP || sk->protocol == IPPROTO_ICMPV6;
	if (sk->type != SOCK_RAW)
		return 0;
	if (sk->protocol != IPPROTO_ICMP && sk->protocol != IPPROTO_ICMPV6 && sk->protocol != IPPROTO_TCP)
		return 1;
	return has_file(skb) || bpf_sk_storage_get(&sockets, sk, 0, 0);
}

static __always_inline int is_connected(const struct socket *socket, const __u8 *addr, __u16 port)
{
	return socket->connected.port == port && same_addr(socket->connected.addr, addr);
}

/* What became of a packet; else 0. */
enum packet_result {
	PACKET_REFUSED = 1,
	PACKET_IS_DATAGRAM = 2, /* record_datagram is to record it */
};

/*
 * Records the destination that a program named. With only_new it does not count known flows. Returns non-zero if the
 * scope that named it is not recorded. Not static, so that its stack is not added to that of others.
 */
__noinline int record_named(struct __sk_buff *skb, __u32 by, __u32 only_new)
{
	const struct initiator *initiator;
	struct bpf_sock *sk = full_socket(skb);
	struct socket *socket;
	struct flow_key key;

	if (!sk)
		return 0;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!socket)
		return 0;
	if (by == NAMED_BY_CONNECT) {
		key = socket->connected;
		initiator = &socket->connected_by;
	} else if (by == NAMED_BY_SENDMSG) {
		key = socket->named;
		initiator = &socket->named_by;
	} else {
		key = socket->earlier;
		initiator = &socket->earlier_by;
	}
	if (!key.port || (only_new && is_known(&key)))
		return 0;
	if (!is_recorded(key.cgroup))
		return 1;
	record(&key, initiator);
	return 0;
}

/* The same for a remote end named by sendmsg: by the current thread with named_by_thread, else by any thread. */
__noinline int record_peer(struct __sk_buff *skb, __u64 high, __u64 low, __u32 port, __u32 named_by_thread)
{
	__u32 thread = sending_thread();
	struct peer_key remote = {};
	struct flow_key key;
	struct destination *d;
	struct peer *peer;

	remote.cookie = bpf_get_socket_cookie(skb);
	set_addr(remote.addr, high, low);
	remote.port = port;
	if (named_by_thread) {
		d = bpf_map_lookup_elem(&destinations, &thread);
		peer = d ? &d->peer : NULL;
	} else {
		peer = bpf_map_lookup_elem(&peers, &remote);
	}
	if (!peer)
		return 0;
	if (!is_recorded(peer->key.cgroup))
		return 1;
	key = peer->key;
	record(&key, &peer->initiator);
	return 0;
}

/*
 * A datagram left for a destination that no call named: address translation changed it. If the thread named no
 * destination, it is the socket's peer. Without struct sender_layout it may be any destination that was named and not
 * yet seen leaving: these are recorded.
 */
static __always_inline int record_translated(struct __sk_buff *skb, const struct bpf_sock *sk,
					     const struct socket *socket)
{
	int connected = sk->dst_port && socket->connected.port, unrecorded = 0;

	if (connected || !socket->named.port)
		unrecorded = record_named(skb, NAMED_BY_CONNECT, 0);
	if (sender_layout.pid) {
		if (!connected && socket->named.port) /* a corked datagram */
			unrecorded = record_named(skb, NAMED_BY_SENDMSG, 0);
		return unrecorded;
	}
	record_named(skb, NAMED_EARLIER, 1);
	return unrecorded | record_named(skb, NAMED_BY_SENDMSG, connected);
}

/* The destination that the current thread named for the packet of a socket, or NULL. */
static __always_inline struct destination *named_by_thread(__u64 cookie)
{
	struct destination *d;
	__u32 thread;

	if (!sender_layout.pid)
		return NULL;
	thread = sending_thread();
	d = bpf_map_lookup_elem(&destinations, &thread);
	return d && d->remote.cookie == cookie ? d : NULL;
}

/* Whether a thread named this remote end. */
static __always_inline int named_end(const struct destination *d, const struct peer_key *remote)
{
	return d->remote.port == remote->port && same_addr(d->remote.addr, remote->addr);
}

/* Results of record_datagram beside an enum named_by. */
#define DATAGRAM_UNREAD 0x10   /* it is something else, or its headers cannot be read */
#define DATAGRAM_QUESTION 0x20 /* it may be a DNS question: to port 53, or translated from port 53 */

/*
 * Records the flow of a datagram that left: the destination that the sending thread named, which address translation
 * may have changed; else the peer with the packet's destination; else the socket's peer. Returns the enum named_by of
 * the destination, or 0 for a reply. The flow of nearly every datagram is known: it is counted at once.
 */
static __always_inline __u32 record_destination(struct __sk_buff *skb, const struct bpf_sock *sk, struct socket *socket,
						const struct packet *packet)
{
	__u32 unrecorded = unknown_zero() + 1, connected = unknown_zero(), role = unknown_zero();
	enum named_by by = NAMED_BY_NOTHING;
	struct peer_key remote = {};
	struct destination *named;
	struct peer *peer;
	struct end end;

	if (socket)
		connected = is_connected(socket, packet->destination, packet->destination_port);
	remote.cookie = bpf_get_socket_cookie(skb);
	__builtin_memcpy(remote.addr, packet->destination, sizeof(remote.addr));
	remote.port = packet->destination_port;
	named = named_by_thread(remote.cookie);
	if (named && named_end(named, &remote) && named->peer.role == PEER_NAMED && count_recorded(&named->peer.key)) {
		named->remote.cookie = 0;
		return NAMED_BY_THREAD;
	}
	peer = bpf_map_lookup_elem(&peers, &remote);
	if (named && !named_end(named, &remote)) {
		if (peer || connected) { /* from a call that failed */
			named->remote.cookie = 0;
			named = NULL;
		} else if (sk->dst_port) { /* possibly translated too */
			record_named(skb, NAMED_BY_CONNECT, 0);
		}
	}
	if (peer)
		role = peer->role;
	asm volatile("" : "+r"(role)); /* else the compiler selects the field's address before the null checks */
	if (named)
		role = named->peer.role;
	if (role == PEER_INITIATED && !goes_to(sk, packet->destination, packet->destination_port, packet->family))
		return 0;
	if (role == PEER_NAMED) {
		end = named ? end_of(named->remote.addr, named->remote.port, packet)
			    : end_of(packet->destination, packet->destination_port, packet);
		unrecorded = record_peer(skb, end.high, end.low, end.rest >> 16, !!named);
		by = named ? NAMED_BY_THREAD : NAMED_BY_PEER;
	} else if (connected) {
		unrecorded = socket && count_recorded(&socket->connected) ? 0 : record_named(skb, NAMED_BY_CONNECT, 0);
		by = NAMED_BY_CONNECT;
	} else if (socket && (socket->named.port || socket->connected.port)) {
		unrecorded = record_translated(skb, sk, socket);
		by = (sk->dst_port && socket->connected.port) || !socket->named.port ? NAMED_BY_CONNECT
										     : NAMED_BY_SENDMSG;
	}
	if (named)
		named->remote.cookie = 0;
	return unrecorded ? NAMED_BY_NOTHING : by;
}

static __always_inline int may_be_question(const struct socket *socket, const struct packet *p)
{
	if (p->protocol != IPPROTO_UDP)
		return 0;
	return p->destination_port == DNS_PORT ||
	       (socket && (socket->named.port == DNS_PORT || socket->connected.port == DNS_PORT));
}

/*
 * Records a datagram. Returns the result of record_destination with DATAGRAM_QUESTION, or DATAGRAM_UNREAD alone. Not
 * static, so that it is verified once.
 */
__noinline int record_datagram(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);
	struct socket *socket;
	struct packet p;
	__u32 result;

	if (!sk)
		return 0;
	if (read_packet(skb, &p) || p.fragment || !is_udp(p.protocol))
		return DATAGRAM_UNREAD;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	result = record_destination(skb, sk, socket, &p);
	return may_be_question(socket, &p) ? result | DATAGRAM_QUESTION : result;
}

/*
 * Records a datagram to a destination that no task in scope named. Returns non-zero if it is refused. Not static, so
 * that its stack is not added to that of others.
 */
__noinline int record_unnamed_datagram(struct __sk_buff *skb)
{
	__u64 cgroup = scope_of_outgoing(skb);
	struct packet p;

	return cgroup && !read_packet(skb, &p) && record_unnamed(skb, &p, cgroup);
}

/*
 * Records a packet of a socket that is not TCP's. Returns an enum packet_result, or 0. Not static, so that its stack is
 * not added to that of others.
 */
__noinline int read_outgoing(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);
	__u64 cgroup = 0;
	struct packet p;
	int built;

	if (!sk)
		return 0;
	if (read_packet(skb, &p) || (!p.fragment && read_type(skb, &p))) {
		if (scope_of_outgoing(skb))
			count(LOST_PACKET);
		return 0;
	}
	built = builds_packets(skb);
	if (p.fragment) { /* has no port; the kernel fragments its own datagrams later */
		if (!built)
			return 0;
		p.protocol = IPPROTO_FRAGMENT;
		p.destination_port = 0;
	}
	/* opens comes first: for a packet that opens no flow, no new cgroup is tracked. */
	if (built)
		cgroup = scope_of_outgoing(skb);
	else if (is_udp(p.protocol) && sk->type == SOCK_DGRAM)
		return PACKET_IS_DATAGRAM;
	else if ((p.protocol != IPPROTO_TCP || sk->type == SOCK_RAW) && opens(skb, &p))
		cgroup = scope_of_datagram(skb, bpf_sk_storage_get(&sockets, sk, 0, 0));
	return record_unnamed(skb, &p, cgroup) ? PACKET_REFUSED : 0;
}

/* Returns non-zero if the datagram is refused. */
static __always_inline int on_datagram(struct __sk_buff *skb)
{
	__u32 result = record_datagram(skb), by = result & ~DATAGRAM_QUESTION;
	int refused = 0;

	if (result == DATAGRAM_UNREAD)
		return read_outgoing(skb) == PACKET_REFUSED;
	if (result & DATAGRAM_QUESTION)
		refused = record_question(skb) && refuses_question(skb);
	if (by == NAMED_BY_NOTHING)
		return record_unnamed_datagram(skb) | refused;
	return (by && refuses_datagram(skb, by, refused)) | refused;
}

/* Returns non-zero if the segment is refused. */
static __always_inline int on_segment(struct __sk_buff *skb, struct bpf_sock *sk)
{
	if (sk->state == TCP_STATE_SYN_SENT && read_syn(skb))
		return 1;
	if (sk->dst_port == bpf_htons(DNS_PORT))
		question_segment(skb);
	if (bpf_sk_storage_get(&client_hints, sk, 0, 0))
		read_client_payload(skb);
	report_reuse(skb, sk);
	return 0;
}

/* Returns non-zero if the packet is refused. */
static __always_inline int on_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);
	int first, result;

	if (!sk)
		return 0;
	if (sk->type == SOCK_STREAM && sk->protocol == IPPROTO_TCP)
		return on_segment(skb, sk);
	if (sk->type != SOCK_DGRAM || !is_udp(sk->protocol)) {
		first = first_protocol(skb);
		if (first < 0 || (first == IPPROTO_TCP && sk->type != SOCK_RAW))
			return 0;
		result = read_outgoing(skb);
		if (result != PACKET_IS_DATAGRAM)
			return result == PACKET_REFUSED;
	}
	return on_datagram(skb);
}
