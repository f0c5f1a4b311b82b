/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Where the bodies of HTTP/1 requests are (RFC 9112), read byte by byte. Bodies are skipped, everything else is sent.
 */
#pragma once

#include <linux/types.h>

#include "maps.h"
#include "stream.h"

#define MAX_HTTP1_HEADER (1 << 20)
#define MAX_HTTP1_LENGTH (1ULL << 56)
#define CONNECT_METHOD 0x434f4e4e454354ULL
#define HTTP2_PREFACE 0x50524920ULL       /* "PRI " */
#define HTTP2_PREFACE_REST 20             /* bytes after it */
#define HTTP1_VERSION 0x485454502f312eULL /* "HTTP/1." */
#define H2C 0x683263ULL
#define HASH_CONTENT_LENGTH 0x2d69a1e6ee916e7dULL
#define HASH_TRANSFER_ENCODING 0x8640bd735e9d802cULL
#define HASH_UPGRADE 0x7f7d77d7c2a03db7ULL

enum http1_state {
	HTTP1_LINE, /* the request line, maybe after empty lines */
	HTTP1_NAME,
	HTTP1_VALUE,
	HTTP1_LENGTH_VALUE,
	HTTP1_UPGRADE_VALUE,
	HTTP1_CHUNK_SIZE,
	HTTP1_CHUNK_EXTENSION,
	HTTP1_CHUNK_END, /* the line break after a chunk */
	HTTP1_TRAILER,
};

/* Bits of stream.flags. */
enum http1_flag {
	HTTP1_IS_CHUNKED = 1,
	HTTP1_LEAVES = 2,   /* what follows the request is not HTTP/1 */
	HTTP1_HAS_TEXT = 4, /* the line is not empty */
	HTTP1_HAS_METHOD = 8,
};

/* A byte in lower case, without a branch: the verifier follows both ways of one, for each byte of a block. */
static __always_inline __u8 lower_case(__u8 b)
{
	__u32 outside = ((__u32)b - 'A') | ('Z' - (__u32)b); /* the top bit is set unless it is a capital letter */

	return b | (~outside >> 31) << 5;
}

static __always_inline void begin_http1_line(struct stream *s, __u8 state)
{
	s->state = state;
	s->number = 0;
	s->hash = FNV_OFFSET;
	s->flags &= ~HTTP1_HAS_TEXT;
}

static __always_inline void begin_http1(struct stream *s)
{
	s->mode = STREAM_IS_HTTP1;
	s->flags = 0;
	s->body = 0;
	s->length = 0;
	begin_http1_line(s, HTTP1_LINE);
}

/* The header is complete. */
static __always_inline int end_http1_header(struct stream *s)
{
	if (s->flags & HTTP1_LEAVES) {
		give_up(s, STREAM_OTHER);
		return 1;
	}
	if (s->flags & HTTP1_IS_CHUNKED) {
		begin_http1_line(s, HTTP1_CHUNK_SIZE);
		return 0;
	}
	s->skip = s->body;
	begin_http1(s);
	return s->skip != 0;
}

static __always_inline int read_http1_line(struct stream *s, __u8 b)
{
	if (b == '\n') {
		if (!(s->flags & HTTP1_HAS_TEXT))
			return 0;
		if (s->number >> 8 != HTTP1_VERSION) {
			give_up(s, STREAM_OTHER);
			return 1;
		}
		begin_http1_line(s, HTTP1_NAME);
		return 0;
	}
	if (b == '\r')
		return 0;
	s->flags |= HTTP1_HAS_TEXT;
	if (b == ' ' && !(s->flags & HTTP1_HAS_METHOD)) {
		s->flags |= HTTP1_HAS_METHOD;
		if (s->number == CONNECT_METHOD)
			s->flags |= HTTP1_LEAVES;
		if ((s->number << 8 | b) == HTTP2_PREFACE) {
			s->mode = STREAM_IS_HTTP2;
			s->keep = HTTP2_PREFACE_REST;
			s->fill = 0;
			s->number = 0;
			return 1;
		}
	}
	s->number = s->number << 8 | b;
	return 0;
}

static __always_inline int read_http1_name(struct stream *s, __u8 b)
{
	if (b == '\n') {
		if (!(s->flags & HTTP1_HAS_TEXT))
			return end_http1_header(s);
		begin_http1_line(s, HTTP1_NAME);
		return 0;
	}
	if (b == '\r')
		return 0;
	s->flags |= HTTP1_HAS_TEXT;
	if (b != ':') {
		s->hash = (s->hash ^ lower_case(b)) * FNV_PRIME;
		return 0;
	}
	s->state = s->hash == HASH_CONTENT_LENGTH ? HTTP1_LENGTH_VALUE
		   : s->hash == HASH_UPGRADE      ? HTTP1_UPGRADE_VALUE
						  : HTTP1_VALUE;
	if (s->hash == HASH_TRANSFER_ENCODING)
		s->flags |= HTTP1_IS_CHUNKED;
	s->number = 0;
	return 0;
}

static __always_inline int read_http1_value(struct stream *s, __u8 state, __u8 b)
{
	if (b == '\n') {
		if (state == HTTP1_LENGTH_VALUE)
			s->body = s->number;
		if (state == HTTP1_UPGRADE_VALUE && s->number != H2C)
			s->flags |= HTTP1_LEAVES;
		begin_http1_line(s, HTTP1_NAME);
		return 0;
	}
	if (state == HTTP1_LENGTH_VALUE && b >= '0' && b <= '9' && s->number < MAX_HTTP1_LENGTH)
		s->number = s->number * 10 + (b - '0');
	if (state == HTTP1_UPGRADE_VALUE && b != ' ' && b != '\t' && b != '\r')
		s->number = s->number << 8 | lower_case(b);
	return 0;
}

static __always_inline int read_http1_chunk(struct stream *s, __u8 state, __u8 b)
{
	__u8 letter = b | 0x20;

	if (state == HTTP1_CHUNK_END) {
		if (b == '\n')
			begin_http1_line(s, HTTP1_CHUNK_SIZE);
		return 0;
	}
	if (b == '\n') {
		s->length = 0;
		s->skip = s->number;
		if (!s->skip) {
			begin_http1_line(s, HTTP1_TRAILER);
			return 0;
		}
		begin_http1_line(s, HTTP1_CHUNK_END);
		return 1;
	}
	if (state == HTTP1_CHUNK_EXTENSION || s->number >= MAX_HTTP1_LENGTH)
		return 0;
	if (b >= '0' && b <= '9')
		s->number = s->number << 4 | (b - '0');
	else if (letter >= 'a' && letter <= 'f')
		s->number = s->number << 4 | (letter - 'a' + 10);
	else if (b != '\r')
		s->state = HTTP1_CHUNK_EXTENSION;
	return 0;
}

/* Reads a byte. Returns non-zero if what follows is not to be read byte by byte. */
static __always_inline int read_http1(struct stream *s, __u8 b)
{
	__u8 state = s->state;

	if (++s->length > MAX_HTTP1_HEADER) {
		give_up(s, STREAM_LIMIT);
		return 1;
	}
	if (state == HTTP1_LINE)
		return read_http1_line(s, b);
	if (state == HTTP1_NAME)
		return read_http1_name(s, b);
	if (state <= HTTP1_UPGRADE_VALUE)
		return read_http1_value(s, state, b);
	if (state < HTTP1_TRAILER)
		return read_http1_chunk(s, state, b);
	if (b == '\n') {
		if (!(s->flags & HTTP1_HAS_TEXT))
			begin_http1(s);
		s->flags &= ~HTTP1_HAS_TEXT;
	} else if (b != '\r') {
		s->flags |= HTTP1_HAS_TEXT;
	}
	return 0;
}
