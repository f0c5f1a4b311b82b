/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Sockets. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The header of the C library does not compile for BPF. */
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3

/* The socket of a packet; NULL if it has none, or only a request or time-wait socket. */
static __always_inline struct bpf_sock *full_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk ? bpf_sk_fullsock(sk) : NULL;
}
