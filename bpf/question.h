/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * DNS questions that leave: an answer must match one to be evidence (resolver.h). User space also learns which names
 * were looked up, and finds those without an address.
 *
 * A question from before the recording is unknown, and so is its answer: a connection that follows is identified by the
 * name that the client sends, or by its address, until the name is looked up again.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "connect.h"
#include "maps.h"
#include "packet.h"
#include "scope.h"
#include "sock.h"
#include "unnamed.h"
#include "verifier.h"

#define DNS_HEADER 12
#define DNS_MAX_LABEL 63
#define DNS_RESPONSE 0x80
#define DNS_A 1
#define DNS_AAAA 28
#define DNS_SRV 33
#define DNS_SVCB 64
#define DNS_HTTPS 65
#define UDP_HEADER 8
#define MAX_NAME_LABELS 128
#define LABELS 16          /* of which these in one round */
#define MAX_PIECES_SENT 33 /* of QUESTION_PIECE bytes: more than the longest packet */

struct question_key {
	__u64 cookie; /* of the socket */
	__u64 hash;   /* of the name */
	__u16 id;
	__u16 padding[3];
};

/* The initiator of a query. */
struct question {
	__u64 cgroup;
	__u64 recording;
	__u32 generation;
	__u32 padding;
};

/* The oldest questions are evicted. An answer to an evicted question is no evidence. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct question_key);
	__type(value, struct question);
} questions SEC(".maps");

struct lookup_key {
	struct question by;
	__u64 hash;
};

/*
 * The names that a recording has looked up, and whether user space knows an address. An evicted name is reported
 * again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct lookup_key);
	__type(value, __u32);
} lookups SEC(".maps");

/* Sets the initiator of queries on a TCP socket. Returns non-zero if this side has not connected it to a resolver. */
static __always_inline int set_stream(struct bpf_sock *sk, struct question *by)
{
	struct socket *socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct settings *s = get_settings();

	if (!socket || !s || socket->connected.port != DNS_PORT || !is_recorded(socket->cgroup))
		return -1;
	by->cgroup = socket->cgroup;
	by->recording = socket->connected.recording;
	by->generation = s->generation;
	return 0;
}

/* A function that is not static is verified once, independent of its callers' states. */

#define EACH_BYTE 0x0101010101010101ULL

/* Converts eight bytes to lower case, as to_lower does one. */
static __always_inline __u64 eight_to_lower(__u64 bytes)
{
	__u64 low = bytes & 0x7f * EACH_BYTE;
	__u64 from_a = low + (0x80 - 'A') * EACH_BYTE, behind_z = low + (0x7f - 'Z') * EACH_BYTE;

	return bytes | ((from_a ^ behind_z) & ~bytes & 0x80 * EACH_BYTE) >> 2;
}

/* Hashes the bytes of a label. Its length byte was read before. */
__noinline __u64 hash_label(struct __sk_buff *skb, __u32 offset, __u32 length, __u64 hash)
{
	__u64 words[8] = {};
	const __u8 *label = (const __u8 *)words;

	length &= DNS_MAX_LABEL;
	hash = (hash ^ length) * FNV_PRIME;
	if (!length || bpf_skb_load_bytes(skb, offset, words, bounded(length, sizeof(words))))
		return hash;
#pragma clang loop unroll(disable) /* unrolled, it would take more stack */
	for (int i = 0; i < 8; i++)
		words[i] = eight_to_lower(words[i]);
	for (__u32 i = 0; i < DNS_MAX_LABEL; i++) {
		if (i >= length)
			break;
		hash = (hash ^ label[i]) * FNV_PRIME;
	}
	return hash;
}

/* Hashes some labels from offset on, up to the end of the name. */
__noinline __u64 hash_labels(struct __sk_buff *skb, __u32 offset, __u64 hash)
{
	__u8 length;

	for (int i = 0; i < LABELS; i++) {
		if (bpf_skb_load_bytes(skb, offset, &length, 1) || !length || length > DNS_MAX_LABEL)
			break;
		hash = hash_label(skb, offset + 1, length, hash);
		offset += 1 + length;
	}
	return hash;
}

/* Returns where the same labels end. */
__noinline __u32 pass_labels(struct __sk_buff *skb, __u32 offset)
{
	__u8 length;

	for (int i = 0; i < LABELS; i++) {
		if (bpf_skb_load_bytes(skb, offset, &length, 1) || !length || length > DNS_MAX_LABEL)
			break;
		offset += 1 + length;
	}
	return offset;
}

/* The length of the name at offset, with the final zero; 0 if it is not a name. */
__noinline __u32 name_length(struct __sk_buff *skb, __u32 offset)
{
	__u32 end = offset;
	__u8 last;

	for (int i = 0; i < MAX_NAME_LABELS / LABELS; i++)
		end = pass_labels(skb, end);
	if (bpf_skb_load_bytes(skb, end, &last, 1) || last)
		return 0;
	end += 1 - offset;
	return end > QUESTION_NAME_LEN ? 0 : end;
}

__noinline __u64 hash_name(struct __sk_buff *skb, __u32 offset)
{
	__u64 hash = FNV_OFFSET;

	for (int i = 0; i < MAX_NAME_LABELS / LABELS; i++) {
		hash = hash_labels(skb, offset, hash);
		offset = pass_labels(skb, offset);
	}
	return hash | NAME_IS_QUESTION;
}

/* Whether records of a type lead to addresses. */
static __always_inline int leads_to_addresses(__u16 type)
{
	return type == DNS_A || type == DNS_AAAA || type == DNS_SRV || type == DNS_HTTPS;
}

/* Stores that a scope looks up the name at offset, and reports it if the recording has not looked it up yet. */
static __always_inline void look_up(struct __sk_buff *skb, const struct question *by, const struct question_key *query,
				    __u32 offset, __u32 length, __u16 type, __u64 netns,
				    const struct initiator *initiator)
{
	struct lookup_key key = { .by = *by, .hash = query->hash };
	struct question_event *e;
	__u32 unanswered = 0;
	int err; /* not long: before 6.4 the upper half of a map helper's result is zero */

	err = bpf_map_update_elem(&lookups, &key, &unanswered, BPF_NOEXIST);
	if (err == -EEXIST)
		return;
	if (err) {
		count(LOST_DNS_EVENT);
		return;
	}
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(LOST_DNS_EVENT);
		return;
	}
	e->kind = EVENT_QUESTION;
	e->type = type;
	e->length = length;
	e->time = bpf_ktime_get_ns();
	e->cgroup = by->cgroup;
	e->recording = by->recording;
	e->cookie = query->cookie;
	e->generation = by->generation;
	e->padding = 0;
	e->netns = netns;
	e->initiator = *initiator;
	if (bpf_skb_load_bytes(skb, offset, e->name, bounded(length, QUESTION_NAME_LEN))) {
		count(LOST_DNS_EVENT);
		bpf_ringbuf_discard(e, 0);
		return;
	}
	bpf_ringbuf_submit(e, 0);
}

/*
 * Records a datagram that may be a DNS question: to port 53, or translated from port 53. Returns non-zero if it is one.
 * A function of its own, so that its stack is not added to that of others.
 */
__noinline int record_question(struct __sk_buff *skb)
{
	struct question_key query = {};
	struct question by = {};
	struct initiator initiator = {};
	struct peer_key remote = {};
	struct settings *settings = get_settings();
	struct bpf_sock *sk = full_socket(skb);
	struct socket *socket;
	struct peer *peer;
	__u64 netns = 0;
	__u32 length;
	__u16 head[3], type; /* id, flags, questions */
	struct packet p;

	if (!sk || !settings)
		return 0;
	if (read_packet(skb, &p) || p.fragment || p.protocol != IPPROTO_UDP)
		return 0;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (p.destination_port != DNS_PORT &&
	    (!socket || (socket->named.port != DNS_PORT && socket->connected.port != DNS_PORT)))
		return 0;
	p.transport += UDP_HEADER;
	if (bpf_skb_load_bytes(skb, p.transport, head, sizeof(head)) || head[1] & bpf_htons(DNS_RESPONSE << 8) ||
	    head[2] != bpf_htons(1))
		return 0;
	p.transport += DNS_HEADER;
	length = name_length(skb, p.transport);
	if (!length || bpf_skb_load_bytes(skb, p.transport + length, &type, sizeof(type)))
		return 0;
	by.cgroup = scope_of_datagram(skb, socket);
	if (!by.cgroup)
		return 0;
	by.generation = settings->generation;
	query.cookie = bpf_get_socket_cookie(skb);
	remote.cookie = query.cookie;
	__builtin_memcpy(remote.addr, p.destination, sizeof(remote.addr));
	remote.port = p.destination_port;
	peer = bpf_map_lookup_elem(&peers, &remote);
	if (peer && peer->role == PEER_NAMED) {
		by.recording = peer->key.recording;
		netns = peer->key.netns;
		initiator = peer->initiator;
	} else if (socket && socket->named.port == DNS_PORT) {
		by.recording = socket->named.recording;
		netns = socket->named.netns;
		initiator = socket->named_by;
	} else if (socket) {
		by.recording = socket->connected.recording;
		netns = socket->connected.netns;
		initiator = socket->connected_by;
	}
	query.hash = hash_name(skb, p.transport);
	query.id = head[0];
	if (bpf_map_update_elem(&questions, &query, &by, BPF_ANY))
		count(LOST_DNS_EVENT);
	type = bpf_ntohs(type);
	if (leads_to_addresses(type))
		look_up(skb, &by, &query, p.transport, length, type, netns, &initiator);
	return 1;
}

/* Reports a piece of a segment, by its number. Returns 0 after the last one. */
__noinline int question_piece(struct __sk_buff *skb, __u32 number)
{
	__u32 payload, length, passed = number * QUESTION_PIECE, last;
	struct bpf_sock *sk = full_socket(skb);
	struct question by = {};
	struct dns_event *e;
	struct tcp_header tcp;
	struct packet p;
	__u8 flags;

	if (!sk || set_stream(sk, &by))
		return 0;
	if (read_packet(skb, &p) || p.fragment || read_tcp(skb, p.transport, &tcp)) {
		count(LOST_PACKET);
		return 0;
	}
	flags = tcp.flags & (TCP_FIN | TCP_SYN | TCP_RST);
	payload = tcp.payload + passed;
	length = length_from(skb, payload);
	if (!length && (number || !flags))
		return 0;
	last = length <= QUESTION_PIECE;
	if (!last)
		length = QUESTION_PIECE;
	e = bpf_ringbuf_reserve(&events, offsetof(struct dns_event, payload) + QUESTION_PIECE, 0);
	if (!e) {
		count(LOST_DNS_EVENT);
		return 0;
	}
	e->kind = EVENT_DNS;
	e->length = length;
	e->time = bpf_ktime_get_ns();
	e->cgroup = by.cgroup;
	e->cookie = bpf_get_socket_cookie(skb);
	e->recording = by.recording;
	e->generation = by.generation;
	e->reserved = 0;
	e->sequence = tcp.sequence + passed + (number && flags & TCP_SYN);
	e->cut = 0;
	e->protocol = IPPROTO_TCP;
	/* The first piece carries the SYN, the last one FIN and RST. */
	e->flags = DNS_SENT | (number ? 0 : flags & TCP_SYN) | (last ? flags & ~TCP_SYN : 0);
	if (length && bpf_skb_load_bytes(skb, payload, e->payload, bounded(length, QUESTION_PIECE))) {
		count(LOST_PACKET);
		bpf_ringbuf_discard(e, 0);
		return 0;
	}
	bpf_ringbuf_submit(e, 0);
	return !last;
}

/*
 * Reports a segment to a resolver that this side has connected to. User space reassembles the stream, as it does for
 * answers.
 */
static __always_inline void question_segment(struct __sk_buff *skb)
{
	for (__u32 i = 0; i < MAX_PIECES_SENT; i++) {
		if (!question_piece(skb, i))
			return;
	}
	count(LOST_PACKET); /* longer than IP's own limit (BIG TCP) */
}
