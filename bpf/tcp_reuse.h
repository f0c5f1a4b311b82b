/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Payload that leaves on a TCP connection from before the recording (tcp_connections.h), or on one that others opened: its flow is told.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "flow.h"
#include "goroutine.h"
#include "packet.h"
#include "sender.h"
#include "stack.h"
#include "tcp_connections.h"

/*
 * How much payload of a packet of TCP was not sent before: all of it or nothing, since until it has left, its first byte is the next one to
 * be sent. Negative where the packet cannot be read.
 */
static __always_inline int sends_payload(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock *sk = skb->sk;
	struct bpf_tcp_sock *tcp;
	struct tcp_header head;
	__u32 length;

	if (read_tcp(skb, p->transport, &head))
		return -1;
	length = length_from(skb, head.payload);
	if (!length || !sk)
		return 0;
	tcp = bpf_tcp_sock(sk);
	if (tcp && (__s32)(head.sequence - tcp->snd_nxt) < 0)
		return 0;
	return length;
}

/* Where the kernel lets programs on packets look at the current task, and its BTF says who holds a socket; else 0. */
const volatile __u32 sender_readable;

/*
 * What thread_goroutine is of the thread that sends a packet in a system call, if it is one of the test process; else 0. Packets also leave
 * in interrupts of any task, for instance when an acknowledgement makes room for more. Then no task holds the socket.
 */
__noinline __u64 sending_goroutine(struct __sk_buff *skb)
{
	struct settings *s = get_settings();
	__u64 g;

	if (!sender_readable || !goroutine_layout.labels || !s || !s->process || !is_owned(skb))
		return 0;
	if (kernel_half(bpf_get_current_task(), family_layout.tgid) != s->process)
		return 0;
	g = await_goroutine();
	return g == GOROUTINE_UNREAD ? 0 : g;
}

/* Not static: see await_recording. */
__noinline __u64 recording_of_sender(__u64 g)
{
	__u64 recording = g ? await_recording(g) : RECORDING_NONE;

	return recording == RECORDING_UNREAD ? RECORDING_NONE : recording;
}

/*
 * The functions here that are not static share what stack there is: none holds much while it calls deep ones. Before 5.11 all that may be on
 * the stack at once is added up.
 */

/* Whether a packet of a connection sends payload. The first one completes the key of a connection that was being opened when it was adopted. */
__noinline int connection_sends(struct __sk_buff *skb)
{
	struct connection *c = connection_of(skb);
	struct packet p;
	int sends;

	if (!c)
		return 0;
	sends = read_packet(skb, &p) || p.fragment ? -1 : sends_payload(skb, &p);
	if (sends < 0)
		count(LOST_PACKET);
	if (sends <= 0)
		return 0;
	if (!c->key.port) {
		__builtin_memcpy(c->key.addr, p.destination, sizeof(c->key.addr));
		c->key.port = p.destination_port;
		c->key.family = p.family;
	}
	return 1;
}

/* Tells the flow of a connection that sends, by a goroutine of a recording, as far as these are known. */
__noinline int report_connection(struct __sk_buff *skb, __u64 own, __u64 recording)
{
	struct connection *c = connection_of(skb);
	struct settings *s = get_settings();
	struct initiator initiator = {};
	struct flow_key key;

	if (!c || !s || (c->reported == s->generation && (!own || recording == c->sender)))
		return 0;
	key = c->key;
	if (own)
		key.recording = recording;
	else if (sender_readable && s->process && c->pid == s->process) /* who opened it need not be who sends */
		key.recording = RECORDING_UNREAD;
	key.bound = bpf_get_socket_cookie(skb) | BOUND_IS_CONNECTION;
	c->reported = s->generation;
	c->sender = key.recording;
	if (is_known(&key))
		return 0;
	report_stack(&key, own);
	initiator.pid = c->pid;
	record_new_of(&key, &initiator, c->key.generation, c->hint);
	return 0;
}

/*
 * Reads a packet of a connection whose flow may not have been reported yet in this generation, or not yet for this sender. Not static, so
 * that other packets need no stack for it.
 */
__noinline int read_payload(struct __sk_buff *skb)
{
	__u64 own, recording;

	if (!connection_sends(skb))
		return 0;
	own = sending_goroutine(skb);
	recording = recording_of_sender(own);
	return report_connection(skb, own, recording);
}

/* How many bytes a TCP socket has sent, those of this packet included, and those once that were sent again. */
static __always_inline __u64 bytes_sent(struct bpf_sock *sk)
{
	__u64 at = socket_address(sk);

	return kernel_word(at, sender_layout.bytes_sent) - kernel_word(at, sender_layout.bytes_retrans);
}

/*
 * Whether a packet is the first by which a task in scope sends on a connection that none has opened: it was given the socket, or took it;
 * or MPTCP opened it earlier. The connection is that task's from then on, as if it were from before the recording.
 *
 * An end that accepted its connection sends only what is acknowledged or under way; for the one that opened it, the SYN was acknowledged,
 * too. Who sends is known while a task holds the socket: what is left until later was sent before. Needs struct sender_layout.
 */
__noinline int take_connection(struct __sk_buff *skb)
{
	struct settings *s = get_settings();
	struct bpf_sock *sk = skb->sk;
	struct bpf_tcp_sock *tcp;
	struct connection *c;
	struct packet p;
	__u32 *syn, now;
	__u64 cgroup;
	int sends;

	if (!sender_layout.pid || !s || !sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk || !is_owned(skb))
		return 0;
	syn = bpf_sk_storage_get(&syns, sk, 0, 0);
	if (syn && *syn == s->generation)
		return 0;
	tcp = bpf_tcp_sock(sk);
	sends = read_packet(skb, &p) ? -1 : sends_payload(skb, &p);
	if (!tcp || !sends)
		return 0;
	now = sends;
	if (sends > 0 && bytes_sent(sk) == tcp->bytes_acked + (tcp->snd_nxt - tcp->snd_una) + now) {
		bpf_sk_storage_get(&accepted, sk, 0, BPF_SK_STORAGE_GET_F_CREATE); /* else it is looked at again */
		return 0;
	}
	cgroup = scope_of_sender();
	if (!cgroup)
		return 0;
	c = sends < 0 ? NULL : bpf_sk_storage_get(&connections, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c) {
		count(sends < 0 ? LOST_PACKET : LOST_SOCKET);
		return 0;
	}
	c->key.cgroup = cgroup;
	c->key.netns = netns_of_packet(skb);
	c->key.protocol = IPPROTO_TCP;
	c->pid = sending_process();
	return 1;
}

/*
 * Tells the flow of a packet's TCP socket once more, if it opened its connection before this generation, or if others than who opened it may
 * send.
 */
static __always_inline void note_connection(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct connection *c = bpf_sk_storage_get(&connections, sk, 0, 0);
	struct settings *s;

	if (!c) {
		if (!bpf_sk_storage_get(&accepted, sk, 0, 0) && take_connection(skb))
			read_payload(skb);
		return;
	}
	s = get_settings();
	if (s && (s->generation != c->reported || (sender_readable && s->several)))
		read_payload(skb);
}
