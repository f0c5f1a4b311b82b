/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * TCP connections that were opened before a recording began and send during it. A connect is a flow of the recordings that run at that
 * moment (connect.h); for each later one the flow is told again when the connection sends payload for the first time. So each socket
 * that connected keeps its flow, and the generation in which that was told last.
 *
 * A socket that was accepted keeps nothing, and costs one look-up a packet. User space adds the connections from before the programs were
 * attached (package probe, AdoptSockets).
 *
 * While several recordings run, the flow is told for each whose goroutine sends. Where the kernel does not let a program on a packet look at
 * the task that sends it (sender_readable), the flow is that of the goroutine that connected.
 *
 * No flow: bare acknowledgements, FIN, RST, keep-alive probes, and payload that is sent again because it was lost.
 * The packets of MPTCP leave through other sockets than the one that connected: take_connection in tcp_reuse.h finds these.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "flow.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connection);
} connections SEC(".maps");

/* Keeps the flow of a socket that connects, the key of which is complete. */
static __always_inline void store_connection(struct bpf_sock_addr *ctx, const struct flow_key *key)
{
	struct connection *c = NULL;

	if (ctx->protocol == IPPROTO_MPTCP)
		return;
	if (ctx->sk)
		c = bpf_sk_storage_get(&connections, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c) {
		count(LOST_SOCKET);
		return;
	}
	c->key = *key;
	c->hint = 0;
	c->pid = bpf_get_current_pid_tgid() >> 32;
	c->reported = key->generation;
	c->sender = key->recording;
}

static __always_inline struct connection *connection_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	return sk ? bpf_sk_storage_get(&connections, sk, 0, 0) : NULL;
}
