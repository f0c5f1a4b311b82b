/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The Host header of an HTTP/1 request (RFC 9112), read byte by byte. A request to a proxy names no server. */
#pragma once

#include <linux/types.h>

#include "abi.h"
#include "maps.h"
#include "server_name.h"

#define HTTP_1_0 0x485454502f312e30ULL
#define HTTP_1_1 0x485454502f312e31ULL
#define HOST_LETTERS 0x3a74736f68ULL /* "host:", lowest byte first */
#define HOST_LENGTH 5
#define MAX_METHOD 20

/* Reads a byte of the request line. */
static __always_inline void read_request_line(struct client_hint *s, __u8 state, __u8 b)
{
	switch (state) {
	case REQUEST_METHOD:
		if (b == ' ')
			s->state = REQUEST_TARGET;
		else if (((b < 'A' || b > 'Z') && b != '-') || ++s->digits > MAX_METHOD)
			complete_hint(s, NAMES_NOTHING);
		return;
	case REQUEST_TARGET: /* any other form is for a proxy */
		s->state = REQUEST_LINE;
		if (b != '/' && b != '*')
			complete_hint(s, NAMES_NOTHING);
		return;
	case REQUEST_LINE:
		if (b != '\n') {
			if (b != '\r')
				s->tail = s->tail << 8 | b;
			return;
		}
		s->state = FIELD_NAME;
		s->digits = 0;
		if (s->tail != HTTP_1_1 && s->tail != HTTP_1_0)
			complete_hint(s, NAMES_NOTHING);
		return;
	}
}

/* Reads a byte of the header fields. */
static __always_inline void read_field(struct client_hint *s, __u8 state, __u8 b)
{
	switch (state) {
	case FIELD_NAME:
		if (b == '\n' && !s->digits) { /* the empty line */
			complete_hint(s, NAMES_NOTHING);
		} else if (b == '\n') {
			s->digits = 0;
		} else if (b == '\r') {
			return;
		} else if (to_lower(b) != (__u8)(HOST_LETTERS >> (s->digits & 7) * 8)) {
			s->state = FIELD_VALUE;
		} else if (++s->digits == HOST_LENGTH) {
			s->state = HOST_VALUE;
		}
		return;
	case FIELD_VALUE:
		if (b != '\n')
			return;
		s->state = FIELD_NAME;
		s->digits = 0;
		return;
	case HOST_VALUE:
		if (b == '\n')
			complete_hint(s, s->kept ? NAMES_BY_HTTP : NAMES_NOTHING);
		else if (s->kept >= SERVER_NAME_LEN)
			complete_hint(s, NAMES_NOTHING);
		else if (b != '\r' && b != ' ' && b != '\t')
			append_hint(s, b);
		return;
	}
}
