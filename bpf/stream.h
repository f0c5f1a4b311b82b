/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What a client sends over a TCP connection, as user space gets it: in pieces, in order, without what the framing takes
 * for bodies. The framing (stream_http1.h, stream_http2.h, stream_kafka.h) is only a hint. User space parses everything
 * again, with zeros in place of what was left out, and trusts a connection only if that succeeds.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "sock.h"
#include "verifier.h"

#define STREAM_TINY 64
#define STREAM_SMALL 512
#define STREAM_PIECE 4096

/* Why nothing of a connection is sent, or nothing more. */
enum stream_opaque {
	STREAM_READABLE = 0,
	STREAM_TLS = 1,
	STREAM_OTHER = 2, /* none of the protocols that are read */
	STREAM_GAP = 3,   /* a packet was not seen */
	STREAM_LOST = 4,  /* no room in the ring buffer */
	STREAM_LIMIT = 5, /* a message is too long, or a packet has too many */
	STREAM_MPTCP = 6,
	STREAM_RECEIVED = 7, /* a process out of scope connected the socket */
};

/* How a stream is framed. */
enum stream_mode {
	STREAM_BEGINS = 0, /* nothing was sent so far */
	STREAM_IS_HTTP1,
	STREAM_IS_HTTP2,
	STREAM_IS_KAFKA,
	STREAM_IS_OPAQUE,
};

/* The client's end of a connection. The lock of the socket serializes the packets that leave. */
struct stream {
	__u64 id;      /* 0: none */
	__u64 cookie;  /* of the socket */
	__u64 skipped; /* bytes that were left out since the last event */
	__u64 skip;    /* bytes to leave out */
	__u64 keep;    /* bytes to send without reading them */
	__u64 number;  /* the number, or the last bytes, being read */
	__u64 hash;    /* of the name of a header field */
	__u64 body;    /* of HTTP/1, the length of the body */
	__u32 start;   /* sequence number of the SYN */
	__u32 next;    /* sequence number of the first unread byte */
	__u32 offset;  /* of it in the packet */
	__u32 unread;  /* bytes of the packet */
	__u32 run;     /* bytes before offset that are to be sent */
	__u32 length;  /* bytes of the message so far, or of Kafka's that are left */
	__u32 items;   /* of Kafka: topics that are left */
	__u32 parts;   /* of Kafka: partitions of the topic that are left */
	__u16 key;     /* of Kafka: the kind of the request */
	__u16 version; /* of Kafka's request */
	__u8 mode;     /* enum stream_mode */
	__u8 state;    /* of the framing */
	__u8 fill;     /* bytes of number that were read, or are wanted */
	__u8 flags;    /* of the framing */
	__u8 opaque;   /* enum stream_opaque that is not sent yet */
	__u8 ended;
	__u8 padding[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct stream);
} streams SEC(".maps");

/* What precedes the bytes of an event. */
struct stream_event {
	__u64 time;
	__u64 stream;
	__u64 cookie;
	__u64 skipped; /* bytes before these that were left out */
	__u64 hint;    /* as in struct flow_event */
	__u32 length;  /* of the bytes that follow */
	__u8 opens;    /* a struct flow_key follows */
	__u8 reply;    /* the server sent the bytes */
	__u8 ended;    /* the client sends nothing more */
	__u8 opaque;   /* enum stream_opaque */
};

struct stream_opened {
	struct stream_event head;
	struct flow_key key;
};

struct stream_tiny {
	struct stream_event head;
	__u8 bytes[STREAM_TINY];
};

struct stream_small {
	struct stream_event head;
	__u8 bytes[STREAM_SMALL];
};

struct stream_piece {
	struct stream_event head;
	__u8 bytes[STREAM_PIECE];
};

/* User space polls it: a wake-up costs ten times as much as the event. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} stream_events SEC(".maps");

/* Ways to lose events: index into stream_losses. */
enum stream_loss {
	LOST_STREAM_EVENT, /* no room in the ring buffer */
	LOST_STREAM,       /* no storage for a socket, or no room in unread_ends */
	STREAM_LOSSES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STREAM_LOSSES);
	__type(key, __u32);
	__type(value, __u64);
} stream_losses SEC(".maps");

/* Not static, so that it is verified once. */
__noinline int lose_stream(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&stream_losses, &what);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

static __always_inline struct stream *stream_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = full_socket(skb);

	return sk ? bpf_sk_storage_get(&streams, sk, 0, 0) : NULL;
}

/* Fills in an event without bytes. */
static __always_inline void begin_event(struct stream_event *e, struct stream *s, __u64 hint)
{
	e->time = bpf_ktime_get_ns();
	e->stream = s->id;
	e->cookie = s->cookie;
	e->skipped = s->skipped;
	e->hint = hint;
	e->length = 0;
	e->opens = 0;
	e->reply = 0;
	e->ended = s->ended;
	e->opaque = s->opaque;
	s->skipped = 0;
}

/* Stops reading a stream. */
static __always_inline void give_up(struct stream *s, enum stream_opaque why)
{
	s->mode = STREAM_IS_OPAQUE;
	s->opaque = why;
}
