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
 * The packets of MPTCP leave through other sockets than the one that connected: take_connection in tcp_payload.h finds these.
 */
#pragma once

#include "flow.h"

/* Set in flow_key.bound where that is the cookie of a connection that was opened before; a time never has it. */
#define BOUND_IS_CONNECTION (1ULL << 63)

struct connection {
	struct flow_key key; /* as connect told it; of one that is older than the programs generation is 0, and port, if it is not known */
	__u64 said;          /* the hash of what it named the server by; 0: nothing, or nothing that was read */
	__u32 pid;           /* of who opened it, as in struct opener */
	__u32 told;          /* the generation in which its flow was told last */
	__u64 sender;        /* the recording that it was told for then */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connection);
} connections SEC(".maps");

/* Keeps the flow of a socket that connects, the key of which is complete. */
static __always_inline void keep_connection(struct bpf_sock_addr *ctx, const struct flow_key *key)
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
	c->said = 0;
	c->pid = bpf_get_current_pid_tgid() >> 32;
	c->told = key->generation;
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
