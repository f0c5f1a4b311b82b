/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The requests of Kafka, each behind its length. The record batches of Produce are skipped, everything else is sent.
 * The fields of Produce are read from version 3 on: numbers of a fixed size and, from version 9 on, varints.
 */
#pragma once

#include <linux/types.h>

#include "stream.h"

#define KAFKA_PRODUCE 0
#define KAFKA_METADATA 3
#define KAFKA_CREATE_TOPICS 19
#define KAFKA_DESCRIBE_TOPICS 75
#define KAFKA_KEYS 128            /* more than there are */
#define KAFKA_SHORTEST 8          /* length of a request */
#define KAFKA_LONGEST (100 << 20) /* the limit of brokers by default */
#define KAFKA_LONGEST_OTHER (1 << 20)
#define KAFKA_TOPIC_ID 16
#define KAFKA_ACKS_AND_TIMEOUT 6
#define KAFKA_INDEX 4

enum kafka_state {
	KAFKA_LENGTH,
	KAFKA_KEY,
	KAFKA_VERSION,
	KAFKA_CORRELATION,
	KAFKA_CLIENT,      /* length of the client's name */
	KAFKA_HEADER_TAGS, /* number of tagged fields */
	KAFKA_TRANSACTION, /* length of the transaction's name */
	KAFKA_TOPICS,      /* number of topics */
	KAFKA_TOPIC,       /* length of the topic's name */
	KAFKA_PARTITIONS,  /* number of partitions */
	KAFKA_RECORDS,     /* length of the record batches */
	KAFKA_PARTITION_TAGS,
	KAFKA_TOPIC_TAGS,
	KAFKA_TAGS,
};

#define KAFKA_VARINT 0xff /* stream.fill: a varint is read, else how many bytes are left */

static __always_inline int is_flexible(const struct stream *s)
{
	return s->version >= 9;
}

/* Reads a number of a fixed size next. */
static __always_inline void expect_fixed(struct stream *s, __u8 state, __u8 bytes)
{
	s->state = state;
	s->fill = bytes;
	s->number = 0;
	s->hash = 0;
}

/* Reads a varint next, or a number of a fixed size before version 9. */
static __always_inline void expect_number(struct stream *s, __u8 state, __u8 bytes)
{
	expect_fixed(s, state, is_flexible(s) ? KAFKA_VARINT : bytes);
}

static __always_inline void begin_kafka(struct stream *s)
{
	expect_fixed(s, KAFKA_LENGTH, 4);
}

/* Sends the rest of the request as it is. */
static __always_inline void keep_request(struct stream *s)
{
	s->keep = s->length;
	s->length = 0;
	begin_kafka(s);
}

/* Sends bytes of the request without reading them. Returns 0 if it is not that long. */
static __always_inline int keep_bytes(struct stream *s, __u64 bytes)
{
	if (bytes > s->length)
		return 0;
	s->keep = bytes;
	s->length -= bytes;
	return 1;
}

/* The value of a length: in a varint it is one more, and 0 or less stands for none. */
static __always_inline __u64 length_of(const struct stream *s, __u64 number, __u64 sign)
{
	if (is_flexible(s))
		return number ? number - 1 : 0;
	return number & sign ? 0 : number;
}

static __always_inline void expect_topic(struct stream *s)
{
	if (!s->items) {
		if (is_flexible(s))
			expect_number(s, KAFKA_TAGS, 0);
		else
			keep_request(s);
		return;
	}
	s->items--;
	if (s->version >= 13) {
		keep_bytes(s, KAFKA_TOPIC_ID);
		expect_number(s, KAFKA_PARTITIONS, 4);
		return;
	}
	expect_number(s, KAFKA_TOPIC, 2);
}

static __always_inline void expect_partition(struct stream *s)
{
	if (s->parts) {
		s->parts--;
		keep_bytes(s, KAFKA_INDEX);
		expect_number(s, KAFKA_RECORDS, 4);
	} else if (is_flexible(s)) {
		expect_number(s, KAFKA_TOPIC_TAGS, 0);
	} else {
		expect_topic(s);
	}
}

/* A number in the header was read. */
static __always_inline void read_kafka_header(struct stream *s, __u8 state, __u64 number)
{
	switch (state) {
	case KAFKA_LENGTH:
		s->length = number;
		if (number < KAFKA_SHORTEST || number > KAFKA_LONGEST)
			give_up(s, STREAM_OTHER);
		expect_fixed(s, KAFKA_KEY, 2);
		return;
	case KAFKA_KEY:
		s->key = number;
		if (number >= KAFKA_KEYS)
			give_up(s, STREAM_OTHER);
		expect_fixed(s, KAFKA_VERSION, 2);
		return;
	case KAFKA_VERSION:
		s->version = number;
		if (number >= KAFKA_KEYS)
			give_up(s, STREAM_OTHER);
		else if (s->key != KAFKA_PRODUCE && s->length > KAFKA_LONGEST_OTHER)
			give_up(s, STREAM_LIMIT);
		expect_fixed(s, KAFKA_CORRELATION, 4);
		return;
	}
}

/* A number in a Produce was read. */
static __always_inline void read_produce(struct stream *s, __u8 state, __u64 number)
{
	switch (state) {
	case KAFKA_CLIENT: /* of a fixed size in all versions */
		if (!keep_bytes(s, number & 0x8000 ? 0 : number))
			break;
		if (is_flexible(s))
			expect_number(s, KAFKA_HEADER_TAGS, 0);
		else
			expect_number(s, KAFKA_TRANSACTION, 2);
		return;
	case KAFKA_HEADER_TAGS:
		if (number)
			break;
		expect_number(s, KAFKA_TRANSACTION, 2);
		return;
	case KAFKA_TRANSACTION:
		if (!keep_bytes(s, length_of(s, number, 0x8000) + KAFKA_ACKS_AND_TIMEOUT))
			break;
		expect_number(s, KAFKA_TOPICS, 4);
		return;
	case KAFKA_TOPICS:
		s->items = length_of(s, number, 0x80000000);
		expect_topic(s);
		return;
	case KAFKA_TOPIC:
		if (!keep_bytes(s, length_of(s, number, 0x8000)))
			break;
		expect_number(s, KAFKA_PARTITIONS, 4);
		return;
	case KAFKA_PARTITIONS:
		s->parts = length_of(s, number, 0x80000000);
		expect_partition(s);
		return;
	case KAFKA_RECORDS:
		number = length_of(s, number, 0x80000000);
		if (number > s->length)
			break;
		s->skip = number;
		s->length -= number;
		if (is_flexible(s))
			expect_number(s, KAFKA_PARTITION_TAGS, 0);
		else
			expect_partition(s);
		return;
	case KAFKA_PARTITION_TAGS:
		if (number)
			break;
		expect_partition(s);
		return;
	case KAFKA_TOPIC_TAGS:
		if (number)
			break;
		expect_topic(s);
		return;
	}
	keep_request(s);
}

/* Reads a byte. Returns non-zero if what follows is not to be read byte by byte. */
static __always_inline int read_kafka(struct stream *s, __u8 b)
{
	__u8 state = s->state;
	__u64 number;

	if (state != KAFKA_LENGTH) {
		if (!s->length) { /* it ends within a number */
			give_up(s, STREAM_OTHER);
			return 1;
		}
		s->length--;
	}
	if (s->fill == KAFKA_VARINT) { /* hash has the number of bits */
		number = s->number | (__u64)(b & 0x7f) << (s->hash & 31);
		s->number = number;
		s->hash += 7;
		if (b & 0x80) {
			if (s->hash > 28) {
				keep_request(s);
				return 1;
			}
			return 0;
		}
	} else {
		number = s->number << 8 | b;
		s->number = number;
		if (--s->fill)
			return 0;
	}
	if (state <= KAFKA_VERSION) {
		read_kafka_header(s, state, number);
		return s->mode == STREAM_IS_OPAQUE;
	}
	if (state == KAFKA_CORRELATION) {
		s->body = number;
		s->flags = s->key == KAFKA_METADATA || s->key == KAFKA_CREATE_TOPICS || s->key == KAFKA_DESCRIBE_TOPICS;
		if (s->key == KAFKA_PRODUCE && s->version >= 3) {
			expect_fixed(s, KAFKA_CLIENT, 2);
			return 0;
		}
		keep_request(s);
		return 1;
	}
	read_produce(s, state, number);
	return 1;
}
