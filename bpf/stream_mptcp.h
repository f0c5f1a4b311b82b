/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Where clients connect by MPTCP. Its bytes leave through other sockets than the one that connects, and over several
 * paths: they are not read.
 *
 * Some kernels call the connect hook for the MPTCP socket. On others, such as 6.18, it sees only the TCP socket of the
 * first path. The SYN of each path has the option.
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

/* An end of a connection to which a client connects by MPTCP. */
struct mptcp_end {
	__u8 addr[16];
	__u32 port;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct mptcp_end);
	__type(value, __u32);
} mptcp_ends SEC(".maps");

static __always_inline void add_mptcp_end(const __u8 *addr, __u16 port)
{
	struct mptcp_end end = { .port = port };
	__u32 one = 1;

	__builtin_memcpy(end.addr, addr, sizeof(end.addr));
	if (bpf_map_update_elem(&mptcp_ends, &end, &one, BPF_ANY))
		lose_stream(LOST_STREAM);
}

static __always_inline void note_mptcp(struct bpf_sock_addr *ctx, const __u8 *addr)
{
	if (ctx->protocol == IPPROTO_MPTCP)
		add_mptcp_end(addr, bpf_ntohs((__u16)ctx->user_port));
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
