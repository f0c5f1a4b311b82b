/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The first bytes that a client sends over TCP, as far as they name the server: the extension server_name of a TLS ClientHello (RFC 8446,
 * RFC 6066), in however many segments and records it comes, and the header Host of an HTTP/1 request (RFC 9112). They are read byte by byte
 * as they leave, so nothing has to be put together; user space judges what it is told.
 *
 * Names nothing: what is neither of these, what breaks their rules, a hello without a name, what is said to a proxy, and whatever has not
 * come to the point after MAX_SPEECH bytes, or when the client ends. Not read: TLS that begins in the middle of another protocol
 * (STARTTLS), HTTP/2 without TLS, QUIC, requests after the first.
 */
#pragma once

#include "packet.h"

#define TLS_HANDSHAKE 22
#define TLS_CLIENT_HELLO 1
#define TLS_MAX_RECORD 16384
#define TLS_SERVER_NAME 0
#define TLS_ENCRYPTED_HELLO 0xfe0d
#define TLS_VERSION_AND_RANDOM 34
#define HTTP_1_0 0x485454502f312e30ULL
#define HTTP_1_1 0x485454502f312e31ULL
#define MAX_METHOD 20
#define MAX_SPEECH 65536
#define MAX_CHUNKS 512 /* of one segment */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04

static __always_inline struct speaker *speaker_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	return sk ? bpf_sk_storage_get(&speakers, sk, 0, 0) : NULL;
}

static __always_inline void decide(struct speaker *s, __u8 source)
{
	s->source = source;
	s->state = SPEECH_DECIDED;
}

static __always_inline __u8 to_lower(__u8 b)
{
	return b >= 'A' && b <= 'Z' ? b | 0x20 : b;
}

static __always_inline void keep(struct speaker *s, __u8 b)
{
	s->text[s->kept & (SERVER_NAME_LEN - 1)] = b;
	s->kept++;
	s->hash = (s->hash ^ to_lower(b)) * FNV_PRIME;
}

static __always_inline int is_tls(__u8 state)
{
	return state >= HELLO_TYPE && state <= EXTENSION_BODY;
}

/* Reads a byte of a TLS record's header. The first record's first byte has been seen already. */
static __always_inline void read_record_header(struct speaker *s, __u8 b)
{
	__u8 head = s->head;

	s->head = head + 1;
	if (head == 0 && b != TLS_HANDSHAKE)
		decide(s, NAMES_NOTHING);
	else if (head == 1 && b != 3)
		decide(s, NAMES_NOTHING);
	else if (head == 3)
		s->high = b;
	if (head < 4)
		return;
	s->record = s->high << 8 | b; /* at once: until then there is no record */
	s->head = 0;
	if (!s->record || s->record > TLS_MAX_RECORD)
		decide(s, NAMES_NOTHING);
}

/* Takes in what a number of the hello says, once it is read whole. */
static __always_inline void read_number(struct speaker *s, __u8 state, __u32 n)
{
	switch (state) {
	case HELLO_TYPE:
		s->state = n == TLS_CLIENT_HELLO ? HELLO_LENGTH : SPEECH_DECIDED;
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
			decide(s, NAMES_NOTHING);
		break;
	case HELLO_EXTENSIONS:
		s->state = EXTENSION_TYPE;
		if (n != s->body || !n)
			decide(s, NAMES_NOTHING);
		break;
	case EXTENSION_TYPE:
		s->wanted = n;
		s->state = EXTENSION_LENGTH;
		break;
	case EXTENSION_LENGTH:
		if (s->wanted == TLS_ENCRYPTED_HELLO && s->source < NAMES_BY_TLS_OUTER)
			s->source += NAMES_BY_TLS_OUTER;
		if (s->wanted == TLS_SERVER_NAME && n && !s->kept) {
			if (n > SERVER_NAME_LEN || n > s->body) {
				decide(s, NAMES_NOTHING);
				return;
			}
			s->wanted = n;
			s->state = EXTENSION_BODY;
			return;
		}
		s->skip = n;
		s->state = EXTENSION_TYPE;
		break;
	}
	if (s->skip > s->body)
		decide(s, NAMES_NOTHING);
}

/* How long the numbers of the hello are, four bits each. */
#define HELLO_NUMBERS (1ULL << HELLO_TYPE * 4 | 3ULL << HELLO_LENGTH * 4 | 1ULL << HELLO_SESSION * 4 | 2ULL << HELLO_CIPHERS * 4 | \
		       1ULL << HELLO_COMPRESSION * 4 | 2ULL << HELLO_EXTENSIONS * 4 | 2ULL << EXTENSION_TYPE * 4 | 2ULL << EXTENSION_LENGTH * 4)

/* Reads a byte of the hello itself. */
static __always_inline void read_hello(struct speaker *s, __u8 state, __u8 b)
{
	__u32 n;

	if (state > HELLO_LENGTH) {
		if (!s->body) {
			decide(s, NAMES_NOTHING);
			return;
		}
		s->body--;
	}
	if (state == EXTENSION_BODY) {
		keep(s, b);
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

/* Whether the hello has been read to its end, which is where it is known whether it holds another. */
static __always_inline int is_over(const struct speaker *s)
{
	return s->state == EXTENSION_TYPE && !s->digits && !s->body && !s->skip;
}

static __always_inline void end_hello(struct speaker *s)
{
	if (!s->kept)
		decide(s, NAMES_NOTHING);
	else
		decide(s, s->source ? NAMES_BY_TLS_OUTER : NAMES_BY_TLS);
}

static __always_inline __u8 host_letter(__u8 i)
{
	return 0x3a74736f68ULL >> (i & 7) * 8; /* "host:" */
}

/* Reads a byte of a request. */
static __always_inline void read_request(struct speaker *s, __u8 state, __u8 b)
{
	switch (state) {
	case REQUEST_METHOD:
		if (b == ' ')
			s->state = REQUEST_TARGET;
		else if ((b < 'A' || b > 'Z') && b != '-')
			decide(s, NAMES_NOTHING);
		else if (++s->digits > MAX_METHOD)
			decide(s, NAMES_NOTHING);
		return;
	case REQUEST_TARGET: /* any other is for a proxy, which has a name of its own */
		if (b == '/' || b == '*')
			s->state = REQUEST_LINE;
		else
			decide(s, NAMES_NOTHING);
		return;
	case REQUEST_LINE:
		if (b == '\n' && (s->tail == HTTP_1_1 || s->tail == HTTP_1_0))
			s->state = FIELD_NAME;
		else if (b == '\n')
			decide(s, NAMES_NOTHING);
		else if (b != '\r')
			s->tail = s->tail << 8 | b;
		s->digits = 0;
		return;
	case FIELD_NAME:
		if (b == '\n') {
			if (!s->digits)
				decide(s, NAMES_NOTHING);
			s->digits = 0;
		} else if (b == '\r') {
			return;
		} else if (to_lower(b) != host_letter(s->digits)) {
			s->state = FIELD_VALUE;
		} else if (++s->digits == 5) {
			s->state = HOST_VALUE;
		}
		return;
	case FIELD_VALUE:
		if (b == '\n') {
			s->state = FIELD_NAME;
			s->digits = 0;
		}
		return;
	case HOST_VALUE:
		if (b == '\n')
			decide(s, s->kept ? NAMES_BY_HTTP : NAMES_NOTHING);
		else if (s->kept >= SERVER_NAME_LEN)
			decide(s, NAMES_NOTHING);
		else if (b != '\r' && b != ' ' && b != '\t')
			keep(s, b);
		return;
	}
}

static __always_inline void read_byte(struct speaker *s, __u8 b)
{
	__u8 state = s->state;

	if (state == SPEECH_BEGINS) {
		if (b == TLS_HANDSHAKE) {
			s->state = HELLO_TYPE;
			s->head = 1;
		} else if (b >= 'A' && b <= 'Z') {
			s->state = REQUEST_METHOD;
			s->digits = 1;
		} else {
			decide(s, NAMES_NOTHING);
		}
	} else if (!is_tls(state)) {
		read_request(s, state, b);
	} else if (!s->record) {
		read_record_header(s, b);
	} else {
		s->record--;
		read_hello(s, state, b);
	}
}

/* Passes over what says nothing, of as many bytes as there are; returns how many. */
static __always_inline __u32 pass_over(struct speaker *s, __u32 length)
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

/*
 * Reads some of the length bytes at offset of the packet, and returns how many. Not static, so that it is verified once, not for every
 * chunk of a packet.
 */
__noinline int read_chunk(struct __sk_buff *skb, __u32 offset, __u32 length)
{
	struct speaker *s = speaker_of(skb);
	__u32 n;

	if (!s || !length)
		return 0;
	if (s->skip && s->record) {
		n = pass_over(s, length);
		if (is_over(s))
			end_hello(s);
		return n;
	}
	if (length > CHUNK)
		length = CHUNK;
	length = ((length - 1) & (CHUNK - 1)) + 1;
	if (bpf_skb_load_bytes(skb, offset, s->chunk, length)) {
		count(LOST_PACKET);
		decide(s, NAMES_NOTHING);
		return length;
	}
	s->at = 0;
	for (int i = 0; i < CHUNK; i++) {
		n = s->at;
		if (n >= length || s->state >= SPEECH_DECIDED)
			break;
		if (s->skip && s->record) {
			s->at = n + pass_over(s, length - n);
		} else {
			s->at = n + 1;
			read_byte(s, s->chunk[n & (CHUNK - 1)]);
		}
		if (is_over(s))
			end_hello(s);
	}
	return s->at;
}

/* Says what the connection names, and forgets it. */
__noinline int tell_name(struct __sk_buff *skb)
{
	struct speaker *s = speaker_of(skb);
	struct bpf_sock *sk = skb->sk;
	__u64 hash = 0;

	if (!s || !sk)
		return 0;
	if (s->source != NAMES_NOTHING)
		hash = (s->hash ^ s->source) * FNV_PRIME | 1;
	name_server(&s->key, hash, s->source, s);
	sk = bpf_sk_fullsock(sk);
	if (sk)
		bpf_sk_storage_delete(&speakers, sk);
	return 0;
}

/* A packet of a connection that has not said yet whom it means. Not static, so that the packets of all others cost no stack. */
__noinline int read_speech(struct __sk_buff *skb)
{
	struct speaker *s = speaker_of(skb);
	__u32 payload, length, sequence, offset = 0;
	struct packet p;
	__u8 flags, head[10]; /* sequence number, acknowledgement number, header length, flags */

	if (!s || s->state >= SPEECH_DECIDED)
		return 0;
	if (read_packet(skb, &p) || p.fragment || bpf_skb_load_bytes(skb, p.transport + 4, head, sizeof(head))) {
		count(LOST_PACKET);
		return 0;
	}
	__builtin_memcpy(&sequence, head, sizeof(sequence));
	flags = head[9];
	sequence = bpf_ntohl(sequence) + !!(flags & TCP_SYN);
	payload = p.transport + (head[8] >> 4) * 4;
	length = skb->len > payload ? skb->len - payload : 0;
	if (!s->synced) {
		s->next = sequence;
		s->synced = 1;
	}
	if (length)
		offset = s->next - sequence; /* what is sent again was read before */
	if (length && (__s32)offset < 0) /* a packet that this hook did not see */
		decide(s, NAMES_NOTHING);
	for (int i = 0; i < MAX_CHUNKS && offset < length && s->state < SPEECH_DECIDED; i++) {
		__u32 n = read_chunk(skb, payload + offset, length - offset);

		offset += n;
		s->next += n;
		s->spoken += n;
	}
	if (offset < length || s->spoken > MAX_SPEECH || (s->spoken && (flags & (TCP_FIN | TCP_RST)))) {
		if (s->state < SPEECH_DECIDED)
			decide(s, NAMES_NOTHING);
	}
	if (s->state < SPEECH_DECIDED)
		return 0;
	return tell_name(skb);
}
