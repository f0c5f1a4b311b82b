/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * DNS answers. The kernel reads as much of one as it needs to keep names apart in flow_key.name: which question led to which
 * addresses. User space gets the answer itself, but only when it says something new; an answer that could not be read whole raises the
 * epoch of the scope, so that what follows it is never taken for something known.
 */
#pragma once

#include "packet.h"

#define DNS_PORT 53
#define DNS_HEADER 12
#define DNS_RESPONSE 0x80
#define DNS_MAX_NAME 256
#define DNS_MAX_STEPS 96 /* records, if their owners' names are compressed */
#define DNS_A 1
#define DNS_AAAA 28
#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL
#define CANDIDATE_NS 5000000000ULL /* how long after its answer a question may still be connected for */
#define UDP_HEADER 8
#define MAX_PIECES 5 /* of DNS_PAYLOAD bytes: more than the longest packet */

static __always_inline struct dns_reader *get_reader(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline __u8 byte_at(const struct dns_event *e, __u32 offset)
{
	return e->payload[offset & (DNS_PAYLOAD - 1)];
}

static __always_inline __u16 word_at(const struct dns_event *e, __u32 offset)
{
	return byte_at(e, offset) << 8 | byte_at(e, offset + 1);
}

/* Copies length (at least 1) bytes of the packet into the event; length is cut to DNS_PAYLOAD. */
static __always_inline long load(struct __sk_buff *skb, __u32 offset, struct dns_event *e, __u32 length)
{
	length = ((length - 1) & (DNS_PAYLOAD - 1)) + 1;
	e->length = length;
	return bpf_skb_load_bytes(skb, offset, e->payload, length);
}

static __always_inline void send(struct dns_event *e)
{
	__u32 size = offsetof(struct dns_event, payload) + (((e->length - 1) & (DNS_PAYLOAD - 1)) + 1);

	if (bpf_ringbuf_output(&events, e, size, 0))
		count(LOST_DNS_EVENT);
}

static __always_inline struct dns_reader *new_dns_event(struct __sk_buff *skb, __u8 protocol, __u64 cgroup)
{
	struct dns_reader *r = get_reader();
	struct dns_event *e;

	if (!r)
		return NULL;
	e = &r->event;
	e->kind = EVENT_DNS;
	e->time = bpf_ktime_get_ns();
	e->cgroup = cgroup;
	e->cookie = bpf_get_socket_cookie(skb);
	e->sequence = 0;
	e->cut = 0;
	e->protocol = protocol;
	e->flags = 0;
	e->length = 0;
	return r;
}

/*
 * FNV-1a of the question's name, which stands at offset: length bytes and labels in lower case, without the root's zero. Leaves the
 * reader's offset behind the name. 0 where it is not one.
 *
 * The functions here that are not static are verified once, each for itself, whatever their callers' states.
 */
__noinline __u64 hash_question(__u32 offset)
{
	struct dns_reader *r = get_reader();
	__u64 hash = FNV_OFFSET;

	if (!r)
		return 0;
	r->offset = offset;
	r->left = 0;
	for (int i = 0; i < DNS_MAX_NAME; i++) {
		__u8 b = byte_at(&r->event, r->offset++);

		if (r->left) {
			r->left--;
			if (b >= 'A' && b <= 'Z')
				b |= 0x20;
		} else if (!b) {
			return hash | NAME_IS_QUESTION;
		} else if (b > 63) {
			return 0;
		} else {
			r->left = b;
		}
		hash = (hash ^ b) * FNV_PRIME;
	}
	return 0;
}

/* Notes that the question led to addr. 1 where that is news, -1 where there was no room. */
static __always_inline int learn(__u64 cgroup, const __u8 *addr, __u64 question)
{
	struct scope *scope = bpf_map_lookup_elem(&scopes, &cgroup);
	struct dns_reader *r = get_reader();
	__u64 epoch, now;
	struct name_key key = { .cgroup = cgroup };
	struct name *name, fresh = {};
	int news = 1;

	if (!scope || !r)
		return 0;
	now = r->event.time;
	epoch = scope->epoch;
	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	name = bpf_map_lookup_elem(&names, &key);
	if (!name) {
		fresh.pending = 1;
		fresh.last = question;
		fresh.since = now;
		fresh.changed = now;
		fresh.epoch = epoch;
		fresh.time = now;
		return bpf_map_update_elem(&names, &key, &fresh, BPF_ANY) ? -1 : 1;
	}
	bpf_spin_lock(&name->lock);
	if (name->epoch == epoch && name->last == question && name->changed == name->since) {
		news = 0; /* the one candidate, asked for again */
		name->pending++;
	} else if (name->epoch != epoch || !name->pending || now - name->time > CANDIDATE_NS) {
		name->since = now;
		name->changed = now;
		name->pending = 1;
	} else {
		if (now < name->since) /* a CPU that was slower */
			name->since = now;
		else
			name->changed = now;
		name->pending++;
	}
	name->last = question;
	name->epoch = epoch;
	name->time = now;
	bpf_spin_unlock(&name->lock);
	return news;
}

/* Learns the address whose 4 or 16 bytes stand at offset of the packet. */
__noinline int read_address(struct __sk_buff *skb, __u32 offset, __u32 length, __u64 cgroup, __u64 question)
{
	__u8 addr[16];
	__u32 ip4;

	if (length == 4) {
		if (bpf_skb_load_bytes(skb, offset, &ip4, sizeof(ip4)))
			return -1;
		set_ipv4(addr, ip4);
	} else if (bpf_skb_load_bytes(skb, offset, addr, sizeof(addr))) {
		return -1;
	}
	return learn(cgroup, addr, question);
}

static __always_inline int is_address(__u16 type, __u16 length)
{
	return (type == DNS_A && length == 4) || (type == DNS_AAAA && length == 16);
}

/*
 * Reads the answer section, from the reader's offset on: 1 where it holds news, 0 where all is known, -1 where it could not be read whole.
 * Each step of the one flat loop reads a label of an owner's name and, where that was the last one, the rest of the record.
 */
__noinline int read_answers(struct __sk_buff *skb, __u32 payload, __u64 cgroup, __u64 question)
{
	struct dns_reader *r = get_reader();
	const struct dns_event *e;

	if (!r)
		return 0;
	e = &r->event;
	r->records = word_at(e, 6);
	r->news = 0;
	for (int i = 0; i < DNS_MAX_STEPS; i++) {
		__u16 length;
		__u8 b;

		if (!r->records)
			return r->news;
		if (r->offset >= e->length)
			return -1;
		b = byte_at(e, r->offset);
		if (b >= 64 && b < 0xc0)
			return -1;
		r->offset += b < 64 ? b + 1 : 2;
		if (b && b < 64)
			continue;
		length = word_at(e, r->offset + 8);
		if (r->offset + 10 + length > e->length)
			return -1;
		if (is_address(word_at(e, r->offset), length)) {
			int learned = read_address(skb, payload + r->offset + 10, length, cgroup, question);

			if (learned < 0)
				return -1;
			if (learned)
				r->news = 1;
		}
		r->offset += 10 + length;
		r->records--;
	}
	return r->records ? -1 : r->news;
}

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
	__u64 question = 0;
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
	if (word_at(&r->event, 4) == 1 && !r->event.cut)
		question = hash_question(DNS_HEADER);
	if (question) {
		r->offset += 4; /* type and class */
		news = read_answers(skb, payload, cgroup, question);
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
