/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Responses of Kafka that say which topic has which id: newer requests have only the ids. A response begins with its
 * length and the correlation number of its request. The others are skipped.
 *
 * Packets may arrive in any order, and are read in that of their sequence numbers. After a gap nothing more is read;
 * then ids that the client uses may stay unknown, and user space takes the connection as opaque.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"
#include "sock.h"
#include "stream.h"
#include "verifier.h"

#define EXPECTED_REPLIES 8
#define REPLY_HEADER 8 /* bytes of the length and the correlation number */
#define REPLY_STEPS 128

/* The server's end of a connection. The packets of a connection arrive one after the other. */
struct replies {
	__u64 stream;
	__u64 cookie;
	__u64 number;                     /* the header being read */
	__u64 left;                       /* bytes of the response */
	__u64 expected[EXPECTED_REPLIES]; /* correlation numbers + 1; 0: free */
	__u32 next;                       /* sequence number of the first unread byte */
	__u32 offset;                     /* of it in the packet */
	__u32 unread;                     /* bytes of the packet */
	__u8 fill;                        /* bytes of the header */
	__u8 kept;                        /* the response is sent */
	__u8 broken;
	__u8 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct replies);
} replies SEC(".maps");

static __always_inline struct replies *replies_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);

	return sk ? bpf_sk_storage_get(&replies, sk, 0, 0) : NULL;
}

/* Stores the correlation id of a request whose response is to be read. Not static: its loop is verified once. */
__noinline int expect_reply(struct __sk_buff *skb, __u64 correlation)
{
	struct stream *s = stream_of(skb);
	struct bpf_sock *sk = full_socket(skb);
	struct replies *r;

	if (!s || !sk)
		return 0;
	s->flags = 0;
	r = bpf_sk_storage_get(&replies, sk, 0, 0);
	if (!r)
		return 0;
	for (int i = 0; i < EXPECTED_REPLIES; i++) {
		if (!r->expected[i]) {
			r->expected[i] = correlation + 1;
			return 0;
		}
	}
	r->broken = 1;
	return 0;
}

/* Whether a response is expected; it no longer is. */
__noinline int is_expected(struct __sk_buff *skb, __u64 correlation)
{
	struct replies *r = replies_of(skb);

	if (!r)
		return 0;
	for (int i = 0; i < EXPECTED_REPLIES; i++) {
		if (r->expected[i] == correlation + 1) {
			r->expected[i] = 0;
			return 1;
		}
	}
	return 0;
}

static __always_inline void begin_reply(struct stream_event *e, const struct replies *r, __u32 length)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_ns();
	e->stream = r->stream;
	e->cookie = r->cookie;
	e->length = length;
	e->reply = 1;
}

/* Sends the length and the correlation number. */
__noinline int send_reply_header(struct __sk_buff *skb)
{
	struct replies *r = replies_of(skb);
	struct stream_small *e;
	__u64 header;

	if (!r)
		return 0;
	e = bpf_ringbuf_reserve(&stream_events, sizeof(*e), 0);
	if (!e) {
		lose_stream(LOST_STREAM_EVENT);
		r->broken = 1;
		return 0;
	}
	begin_reply(&e->head, r, REPLY_HEADER);
	header = bpf_cpu_to_be64(r->number);
	__builtin_memcpy(e->bytes, &header, sizeof(header));
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Sends bytes of the response. */
__noinline int send_reply(struct __sk_buff *skb, __u32 length)
{
	struct replies *r = replies_of(skb);
	struct stream_piece *e;

	if (!r || !length)
		return 0;
	e = bpf_ringbuf_reserve(&stream_events, sizeof(*e), 0);
	if (!e)
		goto lost;
	begin_reply(&e->head, r, length);
	if (bpf_skb_load_bytes(skb, r->offset, e->bytes, bounded(length, STREAM_PIECE))) {
		bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
		goto lost;
	}
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
lost:
	lose_stream(LOST_STREAM_EVENT);
	r->broken = 1;
	return 0;
}

/* The header of a response was read. */
static __always_inline void begin_response(struct __sk_buff *skb, struct replies *r)
{
	__u64 length = r->number >> 32;

	if (length < 4) {
		r->broken = 1;
		return;
	}
	r->left = length - 4;
	r->kept = is_expected(skb, r->number & 0xffffffff);
	if (r->kept)
		send_reply_header(skb);
	r->fill = 0;
	r->number = 0;
}

/* Reads some bytes of the packet. Returns 0 if there is nothing more to do. */
__noinline int step_reply(struct __sk_buff *skb)
{
	struct replies *r = replies_of(skb);
	__u32 n = 1;
	__u8 b;

	if (!r || !r->unread || r->broken)
		return 0;
	if (r->left) {
		n = r->unread;
		if (r->kept && n > STREAM_PIECE)
			n = STREAM_PIECE;
		n = r->left < n ? r->left : n;
		if (r->kept)
			send_reply(skb, n);
		r->left -= n;
	} else if (bpf_skb_load_bytes(skb, r->offset, &b, 1)) {
		r->broken = 1;
		return 0;
	} else {
		r->number = r->number << 8 | b;
		if (++r->fill == REPLY_HEADER)
			begin_response(skb, r);
	}
	r->offset += n;
	r->unread -= n;
	r->next += n;
	return 1;
}

__noinline int steps_reply(struct __sk_buff *skb)
{
	for (int i = 0; i < REPLY_STEPS; i++) {
		if (!step_reply(skb))
			return 0;
	}
	return 1;
}

/* Prepares for the responses to a client of Kafka, which is about to send its first request. */
__noinline int expect_replies(struct __sk_buff *skb)
{
	struct stream *s = stream_of(skb);
	struct bpf_sock *sk = full_socket(skb);
	struct bpf_tcp_sock *tcp;
	struct replies *r;

	if (!s || !sk)
		return 0;
	tcp = bpf_tcp_sock(sk);
	r = tcp ? bpf_sk_storage_get(&replies, sk, 0, BPF_SK_STORAGE_GET_F_CREATE) : NULL;
	if (!r) {
		lose_stream(LOST_STREAM);
		return 0;
	}
	__builtin_memset(r, 0, sizeof(*r));
	r->stream = s->id;
	r->cookie = s->cookie;
	r->next = tcp->rcv_nxt; /* the server has not sent anything: it only answers */
	return 0;
}

/* Reads a packet that arrives. */
__noinline int read_replies(struct __sk_buff *skb)
{
	struct replies *r = replies_of(skb);
	__u32 length, known;
	struct tcp_header tcp;
	struct packet p;

	if (!r || r->broken)
		return 0;
	if (read_packet(skb, &p) || p.protocol != IPPROTO_TCP || p.fragment || read_tcp(skb, p.transport, &tcp))
		return 0;
	length = length_from(skb, tcp.payload);
	if (!length)
		return 0;
	known = r->next - tcp.sequence;
	if ((__s32)known < 0) {
		r->broken = 1;
		return 0;
	}
	if (known >= length)
		return 0;
	r->offset = tcp.payload + known;
	r->unread = length - known;
	for (int i = 0; i < REPLY_STEPS; i++) {
		if (!steps_reply(skb))
			break;
	}
	if (r->unread)
		r->broken = 1;
	return 0;
}
