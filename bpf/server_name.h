/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Names by which clients call servers, from the first payload of a TCP connection (tcp_payload.h). A new name is
 * reported to user space, a known one is only counted, as flows are.
 *
 * A DNS question is only a hint: the connection that follows may be for another name with the same address, from a
 * cache of the program or from DNS over HTTPS. So every connection is read, except on loopback. A connection without
 * payload has no name, only its flow.
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
#include "maps.h"
#include "scope.h"

enum hint_state {
	HINT_BEGINS,
	HELLO_TYPE,
	HELLO_LENGTH,
	HELLO_SESSION,
	HELLO_CIPHERS,
	HELLO_COMPRESSION,
	HELLO_EXTENSIONS,
	EXTENSION_TYPE,
	EXTENSION_LENGTH,
	EXTENSION_BODY,
	REQUEST_METHOD,
	REQUEST_TARGET,
	REQUEST_LINE,
	FIELD_NAME,
	FIELD_VALUE,
	HOST_VALUE,
	HINT_COMPLETE, /* nothing is read from here on */
};

static __always_inline void complete_hint(struct client_hint *s, __u8 source)
{
	s->source = source;
	s->state = HINT_COMPLETE;
}

/* Without a branch: the verifier would follow both sides. */
static __always_inline __u8 to_lower(__u8 b)
{
	__u32 letter = (__u32)b - 'A';

	return b | ((letter - 26) & ~letter) >> 31 << 5;
}

static __always_inline void append_hint(struct client_hint *s, __u8 b)
{
	s->text[s->kept & (SERVER_NAME_LEN - 1)] = b;
	s->kept++;
	s->hash = (s->hash ^ to_lower(b)) * FNV_PRIME;
}

/* Counts a server name, and reports it if it is new. */
static __always_inline void record_server_name(const struct flow_key *flow, enum dns_match dns_match, __u64 hash,
					       __u8 source, const struct client_hint *s)
{
	struct server_name_key key = { .flow = *flow, .hash = hash, .dns_match = dns_match };
	__u64 one = 1, *known = bpf_map_lookup_elem(&server_names, &key);
	struct name_event *e;
	int err; /* not long: before 6.4 the upper half of a map helper's result is zero */

	if (!known && !is_recorded(flow->cgroup))
		return;
	if (!known) {
		err = bpf_map_update_elem(&server_names, &key, &one, BPF_NOEXIST);
		if (err && err != -EEXIST) {
			count(LOST_NAME_ENTRY);
			return;
		}
		if (err) /* another CPU was faster and reports it */
			known = bpf_map_lookup_elem(&server_names, &key);
	}
	if (known) {
		__sync_fetch_and_add(known, 1);
		return;
	}
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(LOST_NAME_EVENT);
		return;
	}
	e->kind = EVENT_NAME;
	e->length = 0;
	e->source = source;
	e->padding = 0;
	e->time = bpf_ktime_get_ns();
	e->key = key;
	if (s && source != NAMES_NOTHING) {
		e->length = s->kept;
		__builtin_memcpy(e->text, s->text, sizeof(e->text));
	}
	bpf_ringbuf_submit(e, 0);
}

/* Whether an address is in 127.0.0.0/8, or ::1. A server there is on this machine, whatever its name. */
static __always_inline int is_loopback(const struct flow_key *key)
{
	const __u32 *word = (const __u32 *)key->addr;

	if (key->family == 4)
		return key->addr[12] == 127;
	return !word[0] && !word[1] && !word[2] && word[3] == bpf_htonl(1);
}

/* Prepares the parser for the first payload of a connection with a complete key, unless it is on loopback. */
static __always_inline void expect_hint(struct bpf_sock_addr *ctx, const struct flow_key *key, enum dns_match dns_match)
{
	int ignored = is_loopback(key);
	struct client_hint *s;

	if (!ignored && ctx->protocol == IPPROTO_MPTCP) {
		/*
		 * Some kernels still create the storage, but the payload leaves through other sockets, so no name can
		 * be read.
		 */
		record_server_name(key, dns_match, 0, NAMES_NOTHING, NULL);
		return;
	}
	if (!ctx->sk)
		return;
	/* A socket may connect again after a failure. */
	s = bpf_sk_storage_get(&client_hints, ctx->sk, 0, ignored ? 0 : BPF_SK_STORAGE_GET_F_CREATE);
	if (!s) {
		if (!ignored)
			count(LOST_SOCKET);
		return;
	}
	__builtin_memset(s, 0, offsetof(struct client_hint, text));
	s->key = *key;
	s->hash = FNV_OFFSET;
	s->dns_match = dns_match;
	s->state = ignored ? HINT_COMPLETE : HINT_BEGINS;
}
