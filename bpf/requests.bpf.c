//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Sends user space what clients in scope send over TCP connections, for recordings that list requests. Only then are
 * these programs loaded. They are attached beside those of record.bpf.c, share their connections and SYNs, and never
 * refuse or change anything.
 *
 *   cgroup/connect4|6     destinations of MPTCP, on kernels that call the hook for the MPTCP socket
 *   cgroup_skb/egress     what clients send
 *   cgroup_skb/ingress    responses of Kafka that say which topic has which id
 *
 * A stream begins with the SYN of a socket that connected in scope while these programs were attached. So it is known
 * from its first byte.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "addr.h"
#include "packet.h"
#include "stream.h"
#include "stream_http1.h"
#include "stream_http2.h"
#include "stream_kafka.h"
#include "stream_read.h"
#include "stream_reply.h"
#include "stream_unread.h"

#define PROCEED 1

/* Keeps types of ring-buffer events in the object's BTF, from which bpf2go generates the Go types. */
const struct stream_event *stream_event_type __attribute__((unused));
const struct stream_opened *stream_opened_type __attribute__((unused));
const enum stream_opaque *stream_opaque_type __attribute__((unused));
const enum stream_loss *stream_loss_type __attribute__((unused));

SEC("cgroup/connect4")
int requests_connect4(struct bpf_sock_addr *ctx)
{
	__u8 addr[16];

	set_ipv4(addr, ctx->user_ip4);
	note_mptcp(ctx, addr);
	return PROCEED;
}

SEC("cgroup/connect6")
int requests_connect6(struct bpf_sock_addr *ctx)
{
	__u32 addr[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };

	note_mptcp(ctx, (const __u8 *)addr);
	return PROCEED;
}

SEC("cgroup_skb/egress")
int requests_egress(struct __sk_buff *skb)
{
	if (first_protocol(skb) >= 0)
		read_stream(skb);
	return PROCEED;
}

SEC("cgroup_skb/ingress")
int requests_ingress(struct __sk_buff *skb)
{
	read_replies(skb);
	return PROCEED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
