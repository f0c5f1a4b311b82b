/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What enforced policies (enforce.h) refuse of the datagrams whose destinations a program named. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>

/* How a program named the destination of a datagram. */
enum named_by {
	NAMED_BY_CONNECT = 1,
	NAMED_BY_SENDMSG,
	NAMED_EARLIER,   /* by sendmsg */
	NAMED_BY_THREAD, /* by sendmsg on the current thread */
	NAMED_BY_PEER,   /* by sendmsg on any thread */
	NAMED_BY_NOTHING,
};

#ifdef ENFORCE

#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "enforce.h"
#include "flow.h"
#include "maps.h"
#include "packet.h"
#include "sender.h"
#include "sock.h"

/* The flow of a datagram whose destination the current thread named, or NULL. */
static __always_inline const struct flow_key *flow_by_thread(void)
{
	__u32 thread = sending_thread();
	struct destination *d = bpf_map_lookup_elem(&destinations, &thread);

	return d ? &d->peer.key : NULL;
}

/* The flow of a datagram whose destination is a peer of the socket, or NULL. */
static __always_inline const struct flow_key *flow_by_peer(struct __sk_buff *skb)
{
	struct peer_key remote = {};
	struct peer *peer;
	struct packet p;

	if (read_packet(skb, &p))
		return NULL;
	remote.cookie = bpf_get_socket_cookie(skb);
	__builtin_memcpy(remote.addr, p.destination, sizeof(remote.addr));
	remote.port = p.destination_port;
	peer = bpf_map_lookup_elem(&peers, &remote);
	return peer ? &peer->key : NULL;
}

/*
 * Whether a datagram is refused that record_datagram has recorded: by its destination, or as a question. A function of
 * its own, so that its stack is not added to that of record_datagram.
 */
__noinline int refuses_datagram(struct __sk_buff *skb, __u32 by, __u32 question_refused)
{
	struct bpf_sock *sk = full_socket(skb);
	const struct flow_key *recorded;
	struct socket *socket;
	struct flow_key key;
	__u32 policy;

	if (!sk)
		return 0;
	if (by == NAMED_BY_THREAD) {
		recorded = flow_by_thread();
	} else if (by == NAMED_BY_PEER) {
		recorded = flow_by_peer(skb);
	} else {
		socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
		if (!socket)
			return 0;
		recorded = by == NAMED_BY_CONNECT ? &socket->connected : &socket->named;
	}
	if (!recorded)
		return 0;
	policy = policy_of_packet(skb, recorded->cgroup, recorded->recording);
	if (!policy || (!question_refused && allows(policy, recorded)))
		return 0;
	key = *recorded;
	is_known(&key); /* completes it */
	return count_refused(&refused, &key);
}

#else

static __always_inline int refuses_datagram(struct __sk_buff *skb __attribute__((unused)),
					    __u32 by __attribute__((unused)),
					    __u32 question_refused __attribute__((unused)))
{
	return 0;
}

#endif
