/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The frames of HTTP/2 (RFC 9113), which gRPC uses too. The payload of DATA is skipped, everything else is sent. */
#pragma once

#include <linux/types.h>

#include "stream.h"

#define HTTP2_HEADER 9 /* bytes of a frame's header: length, type, flags, stream */
#define HTTP2_DATA 0

/* Reads a byte of a frame's header. Returns non-zero at its end. */
static __always_inline int read_http2(struct stream *s, __u8 b)
{
	__u64 length;

	if (++s->fill <= 4) /* the length and the type */
		s->number = s->number << 8 | b;
	if (s->fill < HTTP2_HEADER)
		return 0;
	length = s->number >> 8;
	if ((s->number & 0xff) == HTTP2_DATA)
		s->skip = length;
	else
		s->keep = length;
	s->fill = 0;
	s->number = 0;
	return 1;
}
