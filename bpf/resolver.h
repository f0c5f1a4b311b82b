/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What a resolver sends: datagrams, which hold one DNS answer each, and segments of streams, which only user space puts together. */
#pragma once

#include "dns.h"

#define DNS_PORT 53
#define UDP_HEADER 8
#define MAX_PIECES 5 /* of DNS_PAYLOAD bytes: more than the longest packet */

static __always_inline void raise_epoch(__u64 cgroup)
{
	struct scope *scope = bpf_map_lookup_elem(&scopes, &cgroup);

	if (scope)
		__sync_fetch_and_add(&scope->epoch, 1);
}

/* A UDP datagram from a resolver, the header of which stands at offset transport. */
__noinline int dns_datagram(struct __sk_buff *skb, __u32 transport, __u64 cgroup)
{
	__u32 payload = transport + UDP_HEADER, length;
	struct dns_reader *r = new_dns_event(skb, IPPROTO_UDP, cgroup);
	int news = -1;

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
	if (!(byte_at(&r->event, 2) & DNS_RESPONSE))
		return 0;
	if (word_at(&r->event, 4) == 1 && !r->event.cut && !read_question(r, DNS_HEADER)) {
		r->offset += 4; /* type and class */
		news = read_answers(skb, r, payload, cgroup);
	}
	if (news < 0)
		raise_epoch(cgroup);
	if (news)
		send(&r->event);
	return 0;
}

/* A TCP segment from a resolver. Only user space puts the segments of a stream together. */
__noinline int dns_segment(struct __sk_buff *skb, __u32 transport, __u64 cgroup)
{
	struct dns_reader *r = new_dns_event(skb, IPPROTO_TCP, cgroup);
	__u32 payload, length, sequence;
	struct dns_event *e;
	__u8 flags, head[10]; /* sequence number, acknowledgement number, header length, flags */

	if (!r)
		return 0;
	e = &r->event;
	if (bpf_skb_load_bytes(skb, transport + 4, head, sizeof(head)))
		return 0;
	__builtin_memcpy(&sequence, head, sizeof(sequence));
	e->sequence = bpf_ntohl(sequence);
	e->flags = head[9] & (DNS_FIN | DNS_SYN | DNS_RST);
	payload = transport + (head[8] >> 4) * 4;
	length = skb->len > payload ? skb->len - payload : 0;
	if (!length) {
		if (e->flags) { /* one byte that length does not count: an event is never empty */
			e->length = 0;
			if (bpf_ringbuf_output(&events, e, offsetof(struct dns_event, payload), 0))
				count(LOST_DNS_EVENT);
		}
		return 0;
	}
	raise_epoch(cgroup);
	flags = e->flags;
	for (int i = 0; i < MAX_PIECES && length; i++) {
		__u32 piece = length > DNS_PAYLOAD ? DNS_PAYLOAD : length;

		/* The first piece carries the SYN, the last one the end. */
		e->flags = (i ? 0 : flags & DNS_SYN) | (piece == length ? flags & ~DNS_SYN : 0);
		if (load(skb, payload, e, piece)) {
			count(LOST_PACKET);
			return 0;
		}
		send(e);
		payload += piece;
		length -= piece;
		e->sequence += piece + !!(e->flags & DNS_SYN);
	}
	return 0;
}
