/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Sockets that are bound to a local address. User space looks up the listener when a flow is first seen; a server in
 * scope that has exited by then is known from here.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "addr.h"
#include "initiator.h"
#include "maps.h"
#include "scope.h"
#include "sock.h"
#include "verifier.h"

/* Not static, so that it is verified once. */
__noinline __u64 look_up_bound(__u64 netns, __u32 port, __u32 protocol)
{
	struct port_key key = { .netns = netns, .port = port, .protocol = protocol };
	__u64 *bound = bpf_map_lookup_elem(&ports, &key);

	return bound ? *bound : 0;
}

/* The current value of flow_key.bound for a port. It is 0 for nearly all ports: those of remote servers. */
static __always_inline __u64 bound_of(__u64 netns, __u32 port, __u32 protocol)
{
	return *bound_port(port) ? look_up_bound(netns, port, protocol) : unknown_zero();
}

static __always_inline void on_bind(struct bpf_sock *ctx, const __u8 *addr)
{
	__u64 cgroup = scope_of_task(), time = bpf_ktime_get_ns();
	struct port_key port = {};
	struct bind_event *e;

	if (!cgroup || (ctx->type != SOCK_STREAM && ctx->type != SOCK_DGRAM))
		return;
	port.netns = bpf_get_netns_cookie(ctx);
	port.port = ctx->src_port;
	port.protocol = ctx->protocol == IPPROTO_MPTCP ? IPPROTO_TCP : ctx->protocol;
	*bound_port(ctx->src_port) = 1;
	if (bpf_map_update_elem(&ports, &port, &time, BPF_ANY))
		count(LOST_BIND_EVENT);
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(LOST_BIND_EVENT);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->kind = EVENT_BIND;
	e->time = time;
	e->cgroup = cgroup;
	e->netns = port.netns;
	__builtin_memcpy(e->addr, addr, sizeof(e->addr));
	set_initiator(&e->initiator, 0);
	e->port = port.port;
	e->protocol = port.protocol;
	e->family = is_ipv4(addr) ? 4 : 6;
	bpf_ringbuf_submit(e, 0);
}
