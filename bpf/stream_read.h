/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Reads the packets that a client sends. A range of bytes that are not skipped, the run, is sent once it fills a piece,
 * or the packet ends.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "maps.h"
#include "packet.h"
#include "sock.h"
#include "stream.h"
#include "stream_http1.h"
#include "stream_http2.h"
#include "stream_kafka.h"
#include "stream_reply.h"
#include "stream_unread.h"
#include "tcp_connections.h"
#include "verifier.h"

#define HTTP1_BLOCK 32
#define HTTP2_BLOCK 16
#define KAFKA_BLOCK 16
#define STREAM_STEPS 128 /* steps in a round, and rounds */
#define TLS_RECORD 0x16
#define TLS_MAJOR 3

/* Sends an event without bytes. Returns non-zero if there is no room. */
__noinline int send_event(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	struct connection *c = connection_of(skb);
	struct stream_event *e;

	if (!s)
		return 0;
	e = bpf_ringbuf_reserve(&stream_events, sizeof(*e), 0);
	if (!e) {
		lose_stream(LOST_STREAM_EVENT);
		give_up(s, STREAM_LOST);
		return -1;
	}
	begin_event(e, s, c ? c->hint : 0);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	s->opaque = STREAM_READABLE;
	return 0;
}

/* Sends the first event of a stream. */
__noinline int send_opened(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	struct connection *c = connection_of(skb);
	struct stream_opened *e;

	if (!s || !c)
		return 0;
	e = bpf_ringbuf_reserve(&stream_events, sizeof(*e), 0);
	if (!e) {
		lose_stream(LOST_STREAM_EVENT);
		s->id = 0;
		return 0;
	}
	begin_event(&e->head, s, 0);
	e->head.opens = 1;
	e->key = c->key;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Sends the run. Three sizes of events: most are small, and those between small bodies tiny. */
__noinline int send_run(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	struct connection *c = connection_of(skb);
	__u32 length, offset;

	if (!s || !s->run)
		return 0;
	length = s->run;
	offset = s->offset - length;
	s->run = 0;
	if (length <= STREAM_TINY) {
		struct stream_tiny *tiny = bpf_ringbuf_reserve(&stream_events, sizeof(*tiny), 0);

		if (!tiny)
			goto lost;
		begin_event(&tiny->head, s, c ? c->hint : 0);
		tiny->head.length = length;
		if (bpf_skb_load_bytes(skb, offset, tiny->bytes, bounded(length, STREAM_TINY))) {
			bpf_ringbuf_discard(tiny, BPF_RB_NO_WAKEUP);
			goto lost;
		}
		bpf_ringbuf_submit(tiny, BPF_RB_NO_WAKEUP);
	} else if (length <= STREAM_SMALL) {
		struct stream_small *small = bpf_ringbuf_reserve(&stream_events, sizeof(*small), 0);

		if (!small)
			goto lost;
		begin_event(&small->head, s, c ? c->hint : 0);
		small->head.length = length;
		if (bpf_skb_load_bytes(skb, offset, small->bytes, bounded(length, STREAM_SMALL))) {
			bpf_ringbuf_discard(small, BPF_RB_NO_WAKEUP);
			goto lost;
		}
		bpf_ringbuf_submit(small, BPF_RB_NO_WAKEUP);
	} else {
		struct stream_piece *piece = bpf_ringbuf_reserve(&stream_events, sizeof(*piece), 0);

		if (!piece)
			goto lost;
		begin_event(&piece->head, s, c ? c->hint : 0);
		piece->head.length = length;
		if (bpf_skb_load_bytes(skb, offset, piece->bytes, bounded(length, STREAM_PIECE))) {
			bpf_ringbuf_discard(piece, BPF_RB_NO_WAKEUP);
			goto lost;
		}
		bpf_ringbuf_submit(piece, BPF_RB_NO_WAKEUP);
	}
	return 0;
lost:
	lose_stream(LOST_STREAM_EVENT);
	give_up(s, STREAM_LOST);
	return -1;
}

static __always_inline void advance_stream(struct stream *s, __u32 n)
{
	s->offset += n;
	s->unread -= n;
	s->next += n;
}

/* Loads the next bytes of the packet, at most a block. Returns how many. */
static __always_inline __u32 load_block(struct __sk_buff *skb, struct stream *s, __u8 *bytes, __u32 block)
{
	__u32 n = s->unread < block ? s->unread : block;

	if (!n)
		return 0;
	n = bounded(n, block);
	if (!bpf_skb_load_bytes(skb, s->offset, bytes, n))
		return n;
	lose_stream(LOST_STREAM_EVENT);
	give_up(s, STREAM_LOST);
	return 0;
}

/*
 * Functions that read up to a block of bytes, and return how many. The blocks are no longer than headers are, since
 * the verifier follows each byte of a block.
 */

__noinline int read_http1_block(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	__u8 bytes[HTTP1_BLOCK] = {};
	__u32 n = s ? load_block(skb, s, bytes, HTTP1_BLOCK) : 0;

	for (__u32 i = 0; i < HTTP1_BLOCK; i++) {
		if (!s || i >= n)
			break;
		if (read_http1(s, bytes[i]))
			return i + 1;
	}
	return n;
}

__noinline int read_http2_block(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	__u8 bytes[HTTP2_BLOCK] = {};
	__u32 n = s ? load_block(skb, s, bytes, HTTP2_BLOCK) : 0;

	for (__u32 i = 0; i < HTTP2_BLOCK; i++) {
		if (!s || i >= n)
			break;
		if (read_http2(s, bytes[i]))
			return i + 1;
	}
	return n;
}

__noinline int read_kafka_block(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	__u8 bytes[KAFKA_BLOCK] = {};
	__u32 n = s ? load_block(skb, s, bytes, KAFKA_BLOCK) : 0;

	for (__u32 i = 0; i < KAFKA_BLOCK; i++) {
		if (!s || i >= n)
			break;
		if (read_kafka(s, bytes[i]))
			return i + 1;
	}
	return n;
}

/* Decides by the first bytes of a stream how it is framed. Returns how many were read: none if they are to be again. */
__noinline int read_beginning(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	__u8 b;

	if (!s || bpf_skb_load_bytes(skb, s->offset, &b, 1))
		return 0;
	if (s->fill) { /* behind the first byte of a TLS record */
		give_up(s, b == TLS_MAJOR ? STREAM_TLS : STREAM_OTHER);
		return 1;
	}
	if (b == TLS_RECORD) {
		s->fill = 1;
		return 1;
	}
	if (b >= 'A' && b <= 'Z') {
		begin_http1(s);
	} else if (!b) {
		s->mode = STREAM_IS_KAFKA;
		begin_kafka(s);
		expect_replies(skb);
	} else {
		give_up(s, STREAM_OTHER);
		return 1;
	}
	return 0;
}

/* Reads some bytes of the packet. Returns how many. */
static __always_inline __u32 read_some(struct __sk_buff *skb, struct stream *s)
{
	__u32 n;

	switch (s->mode) {
	case STREAM_BEGINS:
		return read_beginning(skb);
	case STREAM_IS_HTTP1:
		return read_http1_block(skb);
	case STREAM_IS_HTTP2:
		return read_http2_block(skb);
	}
	n = read_kafka_block(skb);
	if (s->flags && s->state == KAFKA_LENGTH)
		expect_reply(skb, s->body);
	return n;
}

/* Skips, keeps or reads some bytes of the packet. Returns 0 if there is nothing more to do. */
__noinline int step_stream(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	__u32 n;

	if (!s || !s->unread || s->mode == STREAM_IS_OPAQUE)
		return 0;
	if (s->skip) {
		if (send_run(skb))
			return 0;
		n = s->skip < s->unread ? s->skip : s->unread;
		s->skip -= n;
		s->skipped += n;
		advance_stream(s, n);
		return 1;
	}
	if (s->run > STREAM_PIECE - HTTP1_BLOCK) {
		if (send_run(skb))
			return 0;
	}
	if (s->keep) {
		n = STREAM_PIECE - s->run;
		n = s->unread < n ? s->unread : n;
		n = s->keep < n ? s->keep : n;
		s->keep -= n;
	} else {
		n = read_some(skb, s);
	}
	advance_stream(s, n);
	s->run += n;
	return 1;
}

__noinline int steps_stream(struct __sk_buff *skb)
{
	for (int i = 0; i < STREAM_STEPS; i++) {
		if (!step_stream(skb))
			return 0;
	}
	return 1;
}

/* Reads the payload of a packet. */
__noinline int read_stream_payload(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);

	if (!s)
		return 0;
	for (int i = 0; i < STREAM_STEPS; i++) {
		if (!steps_stream(skb))
			break;
	}
	if (s->mode != STREAM_IS_OPAQUE && s->unread)
		give_up(s, STREAM_LIMIT);
	s->unread = 0;
	if (s->opaque != STREAM_LOST)
		send_run(skb);
	s->run = 0;
	return 0;
}

/* Stores the destination of a connection that is not read. MPTCP connects the sockets of its further paths itself. */
__noinline int leave_unread(struct __sk_buff *skb, __u32 why)
{
	struct connection *c = connection_of(skb);
	struct bpf_sock *sk = full_socket(skb);
	struct packet p;

	if (sk)
		bpf_sk_storage_delete(&streams, sk);
	if (c && c->key.port)
		add_unread_end(c->key.addr, c->key.port, why);
	else if (!read_packet(skb, &p))
		add_unread_end(p.destination, p.destination_port, why);
	return 0;
}

/* Begins a stream with the SYN of a socket that connected in scope. A socket may connect again after a failure. */
__noinline int open_stream(struct __sk_buff *skb, __u32 sequence)
{
	struct connection *c = connection_of(skb);
	struct bpf_sock *sk = full_socket(skb);
	struct stream *s;

	if (!sk)
		return 0;
	if (!c && bpf_sk_storage_get(&syns, sk, 0, 0))
		return leave_unread(skb, STREAM_RECEIVED);
	if (!c || !c->key.generation || !c->key.port)
		return 0;
	s = bpf_sk_storage_get(&streams, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s) {
		lose_stream(LOST_STREAM);
		return 0;
	}
	if (s->id && s->start == sequence) /* it is sent again */
		return 0;
	__builtin_memset(s, 0, sizeof(*s));
	s->id = bpf_ktime_get_ns() << 8 | (bpf_get_smp_processor_id() & 0xff);
	s->cookie = bpf_get_socket_cookie(skb);
	s->start = sequence;
	s->next = sequence + 1;
	send_opened(skb);
	return 0;
}

/* Reads a packet that leaves. Inlined: at most eight functions may call each other. */
static __always_inline int read_stream(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	struct bpf_sock *sk = full_socket(skb);
	__u32 length, known;
	struct tcp_header tcp;
	struct packet p;

	if (!s && (!sk || sk->state != BPF_TCP_SYN_SENT))
		return 0;
	if (read_packet(skb, &p) || p.protocol != IPPROTO_TCP || p.fragment || read_tcp(skb, p.transport, &tcp))
		return 0;
	if ((tcp.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		if (asks_for_mptcp(skb, p.transport, tcp.payload)) {
			leave_unread(skb, STREAM_MPTCP);
			return 0;
		}
		open_stream(skb, tcp.sequence);
		tcp.sequence++;
	}
	s = stream_of(skb);
	if (!s || !s->id || s->ended)
		return 0;
	length = length_from(skb, tcp.payload);
	if (s->mode != STREAM_IS_OPAQUE && length) {
		known = s->next - tcp.sequence; /* a retransmission was read before */
		if ((__s32)known < 0) {         /* a packet that this hook did not see */
			give_up(s, STREAM_GAP);
		} else if (known < length) {
			s->offset = tcp.payload + known;
			s->unread = length - known;
			s->run = 0;
			read_stream_payload(skb);
		}
	}
	s = stream_of(skb);
	if (!s)
		return 0;
	s->ended = !!(tcp.flags & (TCP_FIN | TCP_RST));
	if (s->opaque || s->ended)
		send_event(skb);
	return 0;
}
