/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Packets from a resolver: datagrams with one DNS answer each, and TCP segments, which only user space reassembles. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "dns.h"
#include "enforce_names.h"
#include "maps.h"
#include "packet.h"
#include "question.h"
#include "scope.h"
#include "sock.h"

#define MAX_PIECES 5 /* of DNS_PAYLOAD bytes: more than the longest packet */

static __always_inline void raise_epoch(__u64 cgroup)
{
	struct scope *scope = bpf_map_lookup_elem(&scopes, &cgroup);

	if (scope)
		__sync_fetch_and_add(&scope->epoch, 1);
}

/* Stores that a lookup has an address. Returns non-zero if user space does not know that yet. */
static __always_inline int is_first_address(const struct question *by, __u64 hash)
{
	struct lookup_key key = { .by = *by, .hash = hash };
	__u32 answered = 1, *known = bpf_map_lookup_elem(&lookups, &key);

	if (known && *known)
		return 0;
	if (known)
		*known = 1;
	else if (bpf_map_update_elem(&lookups, &key, &answered, BPF_ANY))
		count(LOST_DNS_EVENT);
	return 1;
}

/*
 * Reads a UDP datagram from port 53 with its header at offset transport. It is evidence only if it answers a question
 * that a scope has sent on this socket, whoever sends it.
 */
__noinline int dns_datagram(struct __sk_buff *skb, __u32 transport)
{
	__u32 payload = transport + UDP_HEADER, length;
	struct dns_reader *r = new_dns_event(skb, IPPROTO_UDP, 0);
	struct question_key query = {};
	struct question *by;
	int found;

	if (!r || skb->len < payload + DNS_HEADER)
		return 0;
	length = skb->len - payload;
	if (length > DNS_PAYLOAD) {
		r->event.cut = length - DNS_PAYLOAD;
		length = DNS_PAYLOAD;
	}
	if (load(skb, payload, &r->event, length)) {
		count(LOST_PACKET);
		return 0;
	}
	if (!(byte_at(&r->event, 2) & DNS_RESPONSE) || u16_at(&r->event, 4) != 1 || read_question(r, DNS_HEADER))
		return 0;
	query.cookie = r->event.cookie;
	query.hash = r->question;
	query.id = bpf_htons(u16_at(&r->event, 0));
	by = bpf_map_lookup_elem(&questions, &query);
	if (!by || !is_recorded(by->cgroup))
		return 0;
	r->event.cgroup = by->cgroup;
	r->event.recording = by->recording;
	r->event.generation = by->generation;
	find_answer_names(skb, payload + DNS_HEADER);
	r->offset += 4; /* type and class */
	found = r->event.cut ? -1 : read_answers(skb, r, payload, by->cgroup);
	if (found < 0)
		raise_epoch(by->cgroup);
	if (r->found & ANSWER_HAS_ADDRESS && is_first_address(by, query.hash))
		found |= ANSWER_IS_NEWS;
	if (found & ANSWER_IS_NEWS) /* all bits are set if it could not be read */
		send(&r->event);
	return 0;
}

/* Reports a TCP segment from a resolver that this side has connected to. */
__noinline int dns_segment(struct __sk_buff *skb, __u32 transport)
{
	struct dns_reader *r = new_dns_event(skb, IPPROTO_TCP, 0);
	struct bpf_sock *sk = full_socket(skb);
	struct question by = {};
	struct tcp_header tcp;
	__u32 length, piece;
	struct dns_event *e;
	__u8 flags;

	if (!r || !sk || set_stream(sk, &by))
		return 0;
	e = &r->event;
	e->cgroup = by.cgroup;
	e->recording = by.recording;
	e->generation = by.generation;
	if (read_tcp(skb, transport, &tcp))
		return 0;
	e->sequence = tcp.sequence;
	e->flags = tcp.flags & (TCP_FIN | TCP_SYN | TCP_RST);
	if (!length_from(skb, tcp.payload)) {
		if (e->flags) { /* one byte beyond length: an event is never empty */
			e->length = 0;
			if (bpf_ringbuf_output(&events, e, offsetof(struct dns_event, payload), 0))
				count(LOST_DNS_EVENT);
		}
		return 0;
	}
	raise_epoch(by.cgroup);
	flags = e->flags;
	r->offset = tcp.payload;
	length = length_from(skb, tcp.payload);
	for (int i = 0; i < MAX_PIECES && length; i++) {
		piece = length > DNS_PAYLOAD ? DNS_PAYLOAD : length;
		/* The first piece carries the SYN, the last one FIN and RST. */
		e->flags = (i ? 0 : flags & TCP_SYN) | (piece == length ? flags & ~TCP_SYN : 0);
		if (load(skb, r->offset, e, piece)) {
			count(LOST_PACKET);
			return 0;
		}
		send(e);
		r->offset += piece;
		e->sequence += piece + !!(e->flags & TCP_SYN);
		length = length_from(skb, r->offset);
	}
	if (length) /* longer than IP's own limit (BIG TCP) */
		count(LOST_PACKET);
	return 0;
}
