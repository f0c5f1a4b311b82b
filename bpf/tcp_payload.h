/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Payload that leaves on a TCP connection from before the recording (tcp_connections.h): its flow is told. */
#pragma once

#include "packet.h"

/*
 * Whether a packet of TCP has payload that was not sent before: until it has left, its first byte is the next one to be sent. Negative where
 * the packet cannot be read.
 */
static __always_inline int sends_payload(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock *sk = skb->sk;
	__u8 head[9]; /* sequence number, acknowledgement number, header length */
	struct bpf_tcp_sock *tcp;
	__u32 sequence;

	if (bpf_skb_load_bytes(skb, p->transport + 4, head, sizeof(head)))
		return -1;
	if (skb->len <= p->transport + (head[8] >> 4) * 4)
		return 0;
	if (!sk)
		return 0;
	tcp = bpf_tcp_sock(sk);
	__builtin_memcpy(&sequence, head, sizeof(sequence));
	return !tcp || (__s32)(bpf_ntohl(sequence) - tcp->snd_nxt) >= 0;
}

/*
 * A packet of a connection whose flow was not told in this generation. Not static, so that the packets of all others cost no stack.
 */
__noinline int tell_connection(struct __sk_buff *skb)
{
	struct connection *c = connection_of(skb);
	struct settings *s = get_settings();
	struct opener opener = {};
	struct flow_key key;
	struct packet p;
	int sends;

	if (!c || !s)
		return 0;
	sends = read_packet(skb, &p) || p.fragment ? -1 : sends_payload(skb, &p);
	if (sends < 0)
		count(LOST_PACKET);
	if (sends <= 0)
		return 0;
	key = c->key;
	if (!key.port) {
		__builtin_memcpy(key.addr, p.destination, sizeof(key.addr));
		key.port = p.destination_port;
		key.family = p.family;
	}
	key.bound = bpf_get_socket_cookie(skb) | BOUND_IS_CONNECTION;
	c->told = s->generation;
	opener.pid = c->pid;
	if (!is_known(&key))
		record_new_of(&key, &opener, c->key.generation, c->said);
	return 0;
}

/* Tells the flow of a packet's TCP socket once more, if it opened its connection before this generation. */
static __always_inline void note_connection(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct connection *c = bpf_sk_storage_get(&connections, sk, 0, 0);
	struct settings *s;

	if (!c)
		return;
	s = get_settings();
	if (s && s->generation != c->told)
		tell_connection(skb);
}
