/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * DNS answers. The kernel reads which question led to which addresses, as flow_key.name needs. User space gets an
 * answer only if it says something new. An answer that could not be read completely raises the epoch of the scope, so
 * that no later flow is folded into a known one.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "addr.h"
#include "dns_name.h"
#include "enforce_names.h"
#include "maps.h"
#include "question.h"

#define DNS_MAX_NAME 256
#define DNS_POINTER 0xc0 /* first byte of a compression pointer, which has two */
#define DNS_HASH_BYTES 8 /* of a name, in one round */
#define DNS_MAX_STEPS 96 /* number of records, if the names of their owners are compressed */
#define ANSWER_IS_NEWS 1
#define ANSWER_IS_UNREAD 2
#define ANSWER_HAS_ADDRESS 4

static __always_inline struct dns_reader *get_reader(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline __u8 byte_at(const struct dns_event *e, __u32 offset)
{
	return e->payload[offset & (DNS_PAYLOAD - 1)];
}

static __always_inline __u16 u16_at(const struct dns_event *e, __u32 offset)
{
	return byte_at(e, offset) << 8 | byte_at(e, offset + 1);
}

/* Copies length (at least 1) bytes of the packet into the event, DNS_PAYLOAD at most. */
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
	e->recording = 0;
	e->generation = 0;
	e->reserved = 0;
	e->sequence = 0;
	e->cut = 0;
	e->protocol = protocol;
	e->flags = 0;
	e->length = 0;
	r->found = 0;
	return r;
}

/*
 * A function that is not static is verified once, independent of its callers' states. So a loop is cheapest for the
 * verifier if its body is such a function.
 */

/*
 * Hashes some bytes of the question's name. Returns 0 if there may be more, 1 after the last one, -1 if it is not a
 * name.
 */
__noinline int hash_bytes(void)
{
	struct dns_reader *r = get_reader();

	if (!r)
		return -1;
	for (int i = 0; i < DNS_HASH_BYTES; i++) {
		__u8 b = byte_at(&r->event, r->offset++);

		if (r->left) {
			r->left--;
			if (b >= 'A' && b <= 'Z')
				b |= 0x20;
		} else if (!b) {
			return 1;
		} else if (b > DNS_MAX_LABEL) {
			return -1;
		} else {
			r->left = b;
		}
		r->question = (r->question ^ b) * FNV_PRIME;
	}
	return 0;
}

/*
 * Hashes the question's name at offset with FNV-1a: length bytes and labels in lower case, without the root's zero.
 * Leaves the reader's offset behind the name. Returns non-zero if it is not a name.
 */
static __always_inline int read_question(struct dns_reader *r, __u32 offset)
{
	int end = 0;

	r->question = FNV_OFFSET;
	r->offset = offset;
	r->left = 0;
	for (int i = 0; i < DNS_MAX_NAME / DNS_HASH_BYTES && !end; i++)
		end = hash_bytes();
	r->question |= NAME_IS_QUESTION;
	return end <= 0;
}

/* Stores that the question led to addr. Returns 1 if that is new, -1 if there was no room. */
static __always_inline int store_name(__u64 cgroup, const __u8 *addr)
{
	struct scope *scope = bpf_map_lookup_elem(&scopes, &cgroup);
	struct dns_reader *r = get_reader();
	__u64 epoch, now, question;
	struct name_key key = { .cgroup = cgroup };
	struct name *name, fresh = {};
	int news = 1;

	if (!scope || !r)
		return 0;
	now = r->event.time;
	question = r->question;
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
		news = 0; /* the only candidate, queried again */
		name->pending++;
	} else if (name->epoch != epoch || !name->pending || now - name->time > CANDIDATE_NS) {
		name->since = now;
		name->changed = now;
		name->pending = 1;
	} else {
		if (now < name->since) /* from a slower CPU */
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

/* Stores the address of 4 or 16 bytes at offset of the packet. */
__noinline int read_address(struct __sk_buff *skb, __u32 offset, __u32 length, __u64 cgroup)
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
	open_address(cgroup, addr);
	return store_name(cgroup, addr);
}

static __always_inline int is_address(__u16 type, __u16 length)
{
	return (type == DNS_A && length == 4) || (type == DNS_AAAA && length == 16);
}

/* Whether a record leads to addresses in a way that only user space follows: by hints or the additional section. */
static __always_inline int names_service(__u16 type)
{
	return type == DNS_SRV || type == DNS_SVCB || type == DNS_HTTPS;
}

/*
 * Reads a label of a record's owner at the reader's offset, and the rest of the record after the last label. Returns
 * non-zero if it could not be read.
 */
__noinline int read_label(struct __sk_buff *skb, __u32 payload, __u64 cgroup)
{
	struct dns_reader *r = get_reader();
	const struct dns_event *e;
	__u16 length, type;
	int stored = 0;
	__u8 b;

	if (!r)
		return -1;
	e = &r->event;
	if (r->offset >= e->length)
		return -1;
	b = byte_at(e, r->offset);
	if (b > DNS_MAX_LABEL && b < DNS_POINTER)
		return -1;
	r->offset += b <= DNS_MAX_LABEL ? b + 1 : 2;
	if (b && b <= DNS_MAX_LABEL)
		return 0;
	length = u16_at(e, r->offset + 8);
	if (r->offset + 10 + length > e->length)
		return -1;
	type = u16_at(e, r->offset);
	if (names_service(type))
		r->found |= ANSWER_IS_UNREAD;
	if (is_address(type, length)) {
		stored = read_address(skb, payload + r->offset + 10, length, cgroup);
		r->found |= ANSWER_HAS_ADDRESS;
	}
	if (stored < 0)
		return -1;
	if (stored)
		r->found |= ANSWER_IS_NEWS;
	r->offset += 10 + length;
	r->records--;
	return 0;
}

/* Reads the answer section. Returns ANSWER_ bits, or -1 if it could not be read completely. */
static __always_inline int read_answers(struct __sk_buff *skb, struct dns_reader *r, __u32 payload, __u64 cgroup)
{
	r->records = u16_at(&r->event, 6);
	r->found = 0;
	for (int i = 0; i < DNS_MAX_STEPS && r->records; i++) {
		if (read_label(skb, payload, cgroup))
			return -1;
	}
	if (r->records || r->found & ANSWER_IS_UNREAD)
		return -1;
	return r->found;
}
