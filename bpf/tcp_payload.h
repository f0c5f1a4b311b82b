/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The first payload of a TCP client, as far as it names the server: a TLS ClientHello (tls_client_hello.h) or an HTTP/1
 * request (http_request.h), in any number of segments. The parser reads it as it leaves, so no stream is reassembled.
 * User space validates the name.
 *
 * No name: any other protocol, malformed input, a ClientHello without a name, a request to a proxy, and a name that is
 * not complete after MAX_HINT_BYTES, or when the client ends. Not read: TLS that begins within another protocol
 * (STARTTLS), HTTP/2 without TLS, QUIC, later requests.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "http_request.h"
#include "maps.h"
#include "packet.h"
#include "server_name.h"
#include "sock.h"
#include "tcp_connections.h"
#include "tls_client_hello.h"

#define MAX_HINT_BYTES 65536
#define MAX_STEPS 16384 /* in one segment */
#define STEPS 32        /* steps in a round, and rounds in a round of the next level */

static __always_inline struct client_hint *client_hint_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);

	return sk ? bpf_sk_storage_get(&client_hints, sk, 0, 0) : NULL;
}

static __always_inline void read_byte(struct client_hint *s, __u8 b)
{
	__u8 state = s->state;

	if (state == HINT_BEGINS) {
		if (b == TLS_HANDSHAKE) {
			s->state = HELLO_TYPE;
			s->head = 1;
		} else if (b >= 'A' && b <= 'Z') {
			s->state = REQUEST_METHOD;
			s->digits = 1;
		} else {
			complete_hint(s, NAMES_NOTHING);
		}
	} else if (is_tls(state)) {
		if (!s->record) {
			read_record_header(s, b);
		} else {
			s->record--;
			read_hello(s, state, b);
		}
	} else if (state <= REQUEST_LINE) {
		read_request_line(s, state, b);
	} else {
		read_field(s, state, b);
	}
}

static __always_inline void advance(struct client_hint *s, __u32 n)
{
	s->offset += n;
	s->unread -= n;
	s->next += n;
	s->bytes_read += n;
}

/* A function that is not static is verified once, not for each round of the loops that call it. */

/* Reads a byte of the packet, or skips some. Returns 0 if there is nothing more to read. */
__noinline __u64 step(struct __sk_buff *skb)
{
	struct client_hint *s = client_hint_of(skb);
	__u8 b;

	if (!s || !s->unread || s->state >= HINT_COMPLETE)
		return 0;
	if (s->skip && s->record) {
		advance(s, skip_bytes(s, s->unread));
	} else if (bpf_skb_load_bytes(skb, s->offset, &b, 1)) {
		count(LOST_PACKET);
		complete_hint(s, NAMES_NOTHING);
	} else {
		advance(s, 1);
		read_byte(s, b);
	}
	end_hello(s);
	return 1;
}

__noinline __u64 steps(struct __sk_buff *skb)
{
	for (int i = 0; i < STEPS; i++) {
		if (!step(skb))
			return 0;
	}
	return 1;
}

__noinline __u64 rounds_of_steps(struct __sk_buff *skb)
{
	for (int i = 0; i < STEPS; i++) {
		if (!steps(skb))
			return 0;
	}
	return 1;
}

/* Reports the name of a connection's server, and deletes the parser's state. */
__noinline int report_hint(struct __sk_buff *skb)
{
	struct client_hint *s = client_hint_of(skb);
	struct connection *c = connection_of(skb);
	struct bpf_sock *sk = skb->sk;
	__u64 hash = 0;

	if (!s || !sk)
		return 0;
	if (s->source != NAMES_NOTHING)
		hash = (s->hash ^ s->source) * FNV_PRIME | 1;
	if (c)
		c->hint = hash;
	record_server_name(&s->key, s->dns_match, hash, s->source, s);
	sk = bpf_sk_fullsock(sk);
	if (sk)
		bpf_sk_storage_delete(&client_hints, sk);
	return 0;
}

/*
 * Reads a packet of a connection without a server name yet. Not static, so that other packets need no stack for it.
 */
__noinline int read_client_payload(struct __sk_buff *skb)
{
	struct client_hint *s = client_hint_of(skb);
	struct tcp_header tcp;
	__u32 length, known = 0;
	struct packet p;

	if (!s || s->state >= HINT_COMPLETE)
		return 0;
	if (read_packet(skb, &p) || p.fragment || read_tcp(skb, p.transport, &tcp)) {
		count(LOST_PACKET);
		return 0;
	}
	length = length_from(skb, tcp.payload);
	tcp.sequence += !!(tcp.flags & TCP_SYN);
	if (!s->synced) {
		s->next = tcp.sequence;
		s->synced = 1;
	}
	if (length)
		known = s->next - tcp.sequence; /* a retransmission was read before */
	if ((__s32)known < 0)                   /* a packet that this hook did not see */
		complete_hint(s, NAMES_NOTHING);
	s->offset = tcp.payload + known;
	s->unread = known < length ? length - known : 0;
	for (int i = 0; i < MAX_STEPS / STEPS / STEPS; i++) {
		if (!rounds_of_steps(skb))
			break;
	}
	if (s->state < HINT_COMPLETE &&
	    (s->unread || s->bytes_read > MAX_HINT_BYTES || (s->bytes_read && (tcp.flags & (TCP_FIN | TCP_RST)))))
		complete_hint(s, NAMES_NOTHING);
	if (s->state < HINT_COMPLETE)
		return 0;
	return report_hint(skb);
}
