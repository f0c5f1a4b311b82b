/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * TCP connections that were opened before a recording and send during it. A connect is a flow of the recordings that
 * are active at that moment (connect.h). For each later recording the flow is reported again when the connection first
 * sends payload. So each socket that connected stores its flow, and the last generation in which that was reported.
 *
 * An accepted socket stores nothing, and costs one lookup for each packet. User space adds the connections from before
 * the programs were attached (Probe.TrackConnections of package probe).
 *
 * While several recordings are active, the flow is reported for each one with a goroutine that sends. If the kernel
 * does not let a program on a packet read the sending task (sender_readable), the flow belongs to the goroutine that
 * connected.
 *
 * No flow: bare acknowledgements, FIN, RST, keep-alive probes, and retransmitted payload. The packets of MPTCP leave
 * through other sockets than the one that connected: attribute_connection in tcp_reuse.h finds these.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "maps.h"
#include "sock.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connection);
} connections SEC(".maps");

/* Stores the complete flow of a socket that connects. */
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
	struct bpf_sock *sk = full_socket(skb);

	return sk ? bpf_sk_storage_get(&connections, sk, 0, 0) : NULL;
}
