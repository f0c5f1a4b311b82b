/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * System calls that name a destination: connect, and sendto, sendmsg and sendmmsg with an address.
 *
 * A TCP connect is a flow even if it fails. On a datagram socket nothing is sent yet: the destination is stored until a
 * datagram leaves (egress.h).
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "addr.h"
#include "bind.h"
#include "dns_name.h"
#include "enforce.h"
#include "flow.h"
#include "goroutine.h"
#include "initiator.h"
#include "layout.h"
#include "maps.h"
#include "scope.h"
#include "server_name.h"
#include "stack.h"
#include "tcp_connections.h"
#include "verifier.h"

#define DNS_PORT 53

/* Value of peer_key.cookie if the thread connects by MPTCP: the SYN leaves through a socket of the kernel. */
#define CONNECTS_BY_MPTCP (~0ULL)

static __always_inline int is_same_end(const struct flow_key *a, const struct flow_key *b)
{
	return a->port == b->port && same_addr(a->addr, b->addr);
}

/*
 * Returns the result of set_name, and the g of the current thread in thread_g. A connect of a datagram socket consumes
 * no DNS query: resolvers connect to each address of a name only to sort them.
 */
static __always_inline enum dns_match set_key(struct flow_key *key, struct bpf_sock_addr *ctx, __u64 cgroup,
					      const __u8 *addr, int connects, __u64 *thread_g)
{
	__u64 zero = unknown_zero();

	__builtin_memset(key, 0, sizeof(*key));
	key->cgroup = cgroup;
	key->name = zero;
	key->since = zero;
	key->generation = zero;
	key->recording = recording_of_task(thread_g);
	key->executable = *thread_g ? 0 : executable_of_task(); /* the executable of the test process is known */
	key->netns = bpf_get_netns_cookie(ctx);
	__builtin_memcpy(key->addr, addr, sizeof(key->addr));
	key->port = bpf_ntohs((__u16)ctx->user_port);
	key->protocol = ctx->protocol == IPPROTO_MPTCP ? IPPROTO_TCP : ctx->protocol;
	key->family = is_ipv4(addr) ? 4 : 6;
	key->bound = bound_of(key->netns, key->port, key->protocol);
	return set_name(key, !connects || key->protocol == IPPROTO_TCP);
}

static __always_inline struct socket *socket_of(struct bpf_sock_addr *ctx, __u64 cgroup)
{
	struct socket *socket = NULL;

	if (ctx->sk)
		socket = bpf_sk_storage_get(&sockets, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (socket)
		socket->cgroup = cgroup;
	else
		count(LOST_SOCKET);
	return socket;
}

/* Returns the entry for the destination that the current thread names. NULL if the thread is unknown. */
static __always_inline struct destination *destination_of_thread(void)
{
	__u32 thread = bpf_get_current_pid_tgid();
	static const struct destination none;
	struct destination *known;

	if (!sender_layout.pid)
		return NULL;
	known = bpf_map_lookup_elem(&destinations, &thread);
	if (known)
		return known;
	if (bpf_map_update_elem(&destinations, &thread, &none, BPF_ANY))
		count(LOST_SOCKET);
	return bpf_map_lookup_elem(&destinations, &thread);
}

/* Stores where a thread connects by MPTCP, so that the SYN of the kernel's socket is not reported too (tcp_syn.h). */
static __always_inline void store_mptcp(struct bpf_sock_addr *ctx, const struct flow_key *key)
{
	struct destination *d;

	if (ctx->protocol != IPPROTO_MPTCP)
		return;
	d = destination_of_thread();
	if (!d)
		return;
	d->remote.cookie = CONNECTS_BY_MPTCP;
	__builtin_memcpy(d->remote.addr, key->addr, sizeof(d->remote.addr));
	d->remote.port = key->port;
}

/*
 * Reports the call stack of a lookup, by its socket: it may be refused, and a known flow to the resolver has no stack
 * of its own.
 */
static __always_inline void report_lookup_stack(struct bpf_sock_addr *ctx, struct flow_key *key, __u64 thread_g)
{
	__u64 bound = key->bound;

	key->bound = bpf_get_socket_cookie(ctx) | BOUND_IS_CONNECTION;
	report_stack(key, thread_g);
	key->bound = bound;
}

/* Returns non-zero if the connect is refused. */
static __always_inline int on_connect(struct bpf_sock_addr *ctx, const __u8 *addr)
{
	__u64 cgroup = scope_of_task();
	struct initiator initiator = {};
	struct flow_key key;
	struct socket *socket;
	enum dns_match dns_match;
	__u64 thread_g;
	int known;

	if (!cgroup)
		return 0;
	dns_match = set_key(&key, ctx, cgroup, addr, 1, &thread_g);
	known = key.protocol == IPPROTO_TCP ? count_known(&key) : is_known(&key);
	if (!known)
		report_stack(&key, thread_g);
	if (REFUSES && key.protocol == IPPROTO_UDP && key.port == DNS_PORT)
		report_lookup_stack(ctx, &key, thread_g);
	if (key.protocol == IPPROTO_TCP) {
		if (!known) {
			set_initiator(&initiator, !!thread_g);
			record_new(&key, &initiator);
		}
		if (refuses_connect(&key))
			return 1;
		store_connection(ctx, &key);
		store_mptcp(ctx, &key);
		expect_hint(ctx, &key, dns_match);
		if (key.port != DNS_PORT) /* queries need the initiator of a connection to a resolver */
			return 0;
	}
	set_initiator(&initiator, !!thread_g);
	socket = socket_of(ctx, cgroup);
	if (!socket)
		return 0;
	socket->connected = key;
	socket->connected_by = initiator;
	return 0;
}

/* Stores the destination until the datagram leaves. The last process that named it is the initiator. */
static __always_inline struct peer *store_peer(const struct peer_key *remote, const struct flow_key *key,
					       struct peer *known, __u64 thread_g)
{
	struct peer fresh = {};

	if (known && known->initiator.pid == bpf_get_current_pid_tgid() >> 32 &&
	    known->key.executable == key->executable) {
		known->key = *key;
		return known;
	}
	fresh.key = *key;
	fresh.role = PEER_NAMED;
	set_initiator(&fresh.initiator, !!thread_g);
	if (bpf_map_update_elem(&peers, remote, &fresh, BPF_ANY)) {
		count(LOST_SOCKET);
		return NULL;
	}
	return bpf_map_lookup_elem(&peers, remote);
}

/*
 * Stores the previous destination, unless a datagram for it was seen leaving. Needed only without struct sender_layout.
 * There is no room for a third destination.
 */
static __always_inline void keep_earlier(struct socket *socket, const struct flow_key *key)
{
	if (sender_layout.pid || !socket->named.port || is_same_end(&socket->named, key) || is_known(&socket->named))
		return;
	if (socket->earlier.port && !is_same_end(&socket->earlier, &socket->named) && !is_known(&socket->earlier))
		count(LOST_SOCKET);
	socket->earlier = socket->named;
	socket->earlier_by = socket->named_by;
}

/* Stores the destination that the current thread named. Another thread may name the same one for another recording. */
static __always_inline void store_destination(const struct peer_key *remote, const struct flow_key *key,
					      const struct peer *peer)
{
	struct destination *d = destination_of_thread();

	if (!d)
		return;
	d->remote = *remote;
	d->peer.key = *key;
	d->peer.initiator = peer->initiator;
	d->peer.role = peer->role;
}

static __always_inline void on_sendmsg(struct bpf_sock_addr *ctx, const __u8 *addr)
{
	__u64 cgroup = scope_of_task();
	struct peer_key remote = {};
	struct flow_key key;
	struct socket *socket;
	struct peer *peer;
	__u64 thread_g;

	if (!cgroup)
		return;
	set_key(&key, ctx, cgroup, addr, 0, &thread_g);
	remote.cookie = bpf_get_socket_cookie(ctx);
	__builtin_memcpy(remote.addr, addr, sizeof(remote.addr));
	remote.port = key.port;
	peer = bpf_map_lookup_elem(&peers, &remote);
	if (peer && peer->role == PEER_INITIATED) {
		store_destination(&remote, &key, peer);
		return;
	}
	if ((!peer || peer->key.recording != key.recording) && !is_known(&key)) {
		report_stack(&key, thread_g);
		/* Again, so that the verifier does not track the first result across the call. */
		peer = bpf_map_lookup_elem(&peers, &remote);
	}
	peer = store_peer(&remote, &key, peer, thread_g);
	socket = socket_of(ctx, cgroup);
	if (!peer || !socket)
		return;
	store_destination(&remote, &key, peer);
	keep_earlier(socket, &key);
	socket->named = key;
	socket->named_by = peer->initiator;
}
