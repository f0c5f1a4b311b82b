/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The server_name extension of a TLS ClientHello (RFC 8446, RFC 6066), in any number of records. Its numbers are read
 * byte by byte, because any of them may be split; everything else is skipped.
 */
#pragma once

#include <linux/types.h>

#include "abi.h"
#include "maps.h"
#include "server_name.h"

#define TLS_HANDSHAKE 22
#define TLS_CLIENT_HELLO 1
#define TLS_MAX_RECORD 16384
#define TLS_SERVER_NAME 0
#define TLS_ENCRYPTED_HELLO 0xfe0d
#define TLS_VERSION_AND_RANDOM 34

/* The sizes of the numbers of a ClientHello in bytes, four bits each. */
#define HELLO_NUMBERS \
	(1ULL << HELLO_TYPE * 4 | 3ULL << HELLO_LENGTH * 4 | 1ULL << HELLO_SESSION * 4 | 2ULL << HELLO_CIPHERS * 4 | \
	 1ULL << HELLO_COMPRESSION * 4 | 2ULL << HELLO_EXTENSIONS * 4 | 2ULL << EXTENSION_TYPE * 4 | \
	 2ULL << EXTENSION_LENGTH * 4)

static __always_inline int is_tls(__u8 state)
{
	return state >= HELLO_TYPE && state <= EXTENSION_BODY;
}

/* Reads a byte of a TLS record header. The first byte of the first record was read before. */
static __always_inline void read_record_header(struct client_hint *s, __u8 b)
{
	__u8 head = s->head;

	s->head = head + 1;
	if (head == 0 && b != TLS_HANDSHAKE)
		complete_hint(s, NAMES_NOTHING);
	else if (head == 1 && b != 3)
		complete_hint(s, NAMES_NOTHING);
	else if (head == 3)
		s->high = b;
	if (head < 4)
		return;
	s->record = s->high << 8 | b; /* in one store: until then there is no record */
	s->head = 0;
	if (!s->record || s->record > TLS_MAX_RECORD)
		complete_hint(s, NAMES_NOTHING);
}

/* Handles the length of an extension. Its type is known. */
static __always_inline void begin_extension(struct client_hint *s, __u32 length)
{
	s->state = EXTENSION_TYPE;
	if (s->wanted == TLS_ENCRYPTED_HELLO)
		s->source = NAMES_BY_TLS_OUTER;
	if (s->wanted != TLS_SERVER_NAME || !length || s->kept) {
		s->skip = length;
		return;
	}
	s->wanted = length;
	s->state = EXTENSION_BODY;
	if (length > SERVER_NAME_LEN || length > s->body)
		complete_hint(s, NAMES_NOTHING);
}

/* Handles a number of the ClientHello after its last byte. */
static __always_inline void read_number(struct client_hint *s, __u8 state, __u32 n)
{
	switch (state) {
	case HELLO_TYPE:
		s->state = HELLO_LENGTH;
		if (n != TLS_CLIENT_HELLO)
			complete_hint(s, NAMES_NOTHING);
		return;
	case HELLO_LENGTH:
		s->body = n;
		s->skip = TLS_VERSION_AND_RANDOM;
		s->state = HELLO_SESSION;
		break;
	case HELLO_SESSION:
	case HELLO_CIPHERS:
		s->skip = n;
		s->state = state + 1;
		break;
	case HELLO_COMPRESSION:
		s->skip = n;
		s->state = HELLO_EXTENSIONS;
		if (n == s->body) /* no extensions at all */
			complete_hint(s, NAMES_NOTHING);
		break;
	case HELLO_EXTENSIONS:
		s->state = EXTENSION_TYPE;
		if (n != s->body || !n)
			complete_hint(s, NAMES_NOTHING);
		break;
	case EXTENSION_TYPE:
		s->wanted = n;
		s->state = EXTENSION_LENGTH;
		break;
	case EXTENSION_LENGTH:
		begin_extension(s, n);
		break;
	}
	if (s->skip > s->body)
		complete_hint(s, NAMES_NOTHING);
}

/* Reads a byte of the ClientHello itself. */
static __always_inline void read_hello(struct client_hint *s, __u8 state, __u8 b)
{
	__u32 n;

	if (state > HELLO_LENGTH) {
		if (!s->body) {
			complete_hint(s, NAMES_NOTHING);
			return;
		}
		s->body--;
	}
	if (state == EXTENSION_BODY) {
		append_hint(s, b);
		if (!--s->wanted)
			s->state = EXTENSION_TYPE;
		return;
	}
	n = s->number << 8 | b;
	s->number = n;
	if (++s->digits < (HELLO_NUMBERS >> (state & 15) * 4 & 15))
		return;
	s->digits = 0;
	s->number = 0;
	read_number(s, state, n);
}

/* Skips bytes of the ClientHello, at most length. Returns how many. */
static __always_inline __u32 skip_bytes(struct client_hint *s, __u32 length)
{
	__u32 n = s->skip;

	if (n > length)
		n = length;
	if (n > s->record)
		n = s->record;
	s->skip -= n;
	s->body -= n;
	s->record -= n;
	return n;
}

/* Completes the hint at the end of the ClientHello. Only there is it known whether it contains an encrypted one. */
static __always_inline void end_hello(struct client_hint *s)
{
	if (s->state != EXTENSION_TYPE || s->digits || s->body || s->skip)
		return;
	if (!s->kept)
		complete_hint(s, NAMES_NOTHING);
	else
		complete_hint(s, s->source ? NAMES_BY_TLS_OUTER : NAMES_BY_TLS);
}
