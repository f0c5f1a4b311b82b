/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Destinations of connections that are not read, so that user space knows that requests to them may be missing:
 *
 * MPTCP: its bytes leave through other sockets than the one that connects, and over several paths. Some kernels call
 * the connect hook for the MPTCP socket. On others, such as 6.18, the hook sees only the TCP socket of the first path.
 * The SYN of each path has the option.
 *
 * A socket in scope that a process out of scope connected: tcp_syn.h reports its flow by the SYN.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "stream.h"

#define TCP_OPTIONS 20 /* offset of the first one */
#define MAX_TCP_OPTIONS 16
#define TCP_OPTION_END 0
#define TCP_OPTION_PADDING 1
#define TCP_OPTION_MPTCP 30

/* The server's end of a connection that is not read. */
struct unread_end {
	__u8 addr[16];
	__u32 port;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct unread_end);
	__type(value, __u32); /* enum stream_opaque */
} unread_ends SEC(".maps");

static __always_inline void add_unread_end(const __u8 *addr, __u16 port, __u32 why)
{
	struct unread_end end = { .port = port };

	__builtin_memcpy(end.addr, addr, sizeof(end.addr));
	if (bpf_map_update_elem(&unread_ends, &end, &why, BPF_ANY))
		lose_stream(LOST_STREAM);
}

static __always_inline void note_mptcp(struct bpf_sock_addr *ctx, const __u8 *addr)
{
	if (ctx->protocol == IPPROTO_MPTCP)
		add_unread_end(addr, bpf_ntohs((__u16)ctx->user_port), STREAM_MPTCP);
}

/* Whether the options of a SYN ask for MPTCP. Not static, so that each option is not verified anew. */
__noinline int asks_for_mptcp(struct __sk_buff *skb, __u32 transport, __u32 payload)
{
	__u32 at = transport + TCP_OPTIONS;

	for (int i = 0; i < MAX_TCP_OPTIONS; i++) {
		__u8 option[2]; /* kind and length */

		if (at + sizeof(option) > payload || bpf_skb_load_bytes(skb, at, option, sizeof(option)))
			return 0;
		if (option[0] == TCP_OPTION_MPTCP)
			return 1;
		if (option[0] == TCP_OPTION_END)
			return 0;
		at += option[0] == TCP_OPTION_PADDING || option[1] < 2 ? 1 : option[1];
	}
	return 0;
}
