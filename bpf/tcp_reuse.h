/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Flows of TCP connections that are reused: opened before the recording (tcp_connections.h), or by another task. The
 * flow is reported when payload leaves.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "flow.h"
#include "goroutine.h"
#include "kernel.h"
#include "layout.h"
#include "maps.h"
#include "packet.h"
#include "sender.h"
#include "sock.h"
#include "stack.h"
#include "tcp_connections.h"

/*
 * How many bytes of new payload a TCP packet sends: all or none, because the first byte of an unsent packet is the next
 * one to send. Negative if the packet cannot be read.
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

/* Non-zero if the kernel lets programs on packets read the current task, and its BTF has the owner of a socket. */
const volatile __u32 sender_readable;

/*
 * The g of the thread of the test process that sends a packet in a system call; else 0. Packets also leave in
 * interrupts of any task, for example when an acknowledgement makes room. No task owns the socket then.
 */
__noinline __u64 sending_goroutine(struct __sk_buff *skb)
{
	struct settings *s = get_settings();
	__u64 g;

	if (!sender_readable || !goroutine_layout.labels || !s || !s->process || !is_owned(skb))
		return 0;
	if (read_kernel_u32(bpf_get_current_task(), family_layout.tgid) != s->process)
		return 0;
	g = await_goroutine();
	return g == GOROUTINE_UNREAD ? 0 : g;
}

/* Not static, so that the loop is verified once. */
__noinline __u64 recording_of_sender(__u64 g)
{
	__u64 recording = g ? await_recording(g) : RECORDING_NONE;

	return recording == RECORDING_UNREAD ? RECORDING_NONE : recording;
}

/*
 * The functions here that are not static share the stack: none needs much while it calls deep ones. Before 5.11 the
 * verifier adds up the stack of all functions on a call path.
 */

/*
 * Whether a packet of a connection sends payload. The first one completes the key of a connection that was still being
 * opened when user space added it.
 */
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

/* Reports the flow of a connection that sends. thread_g and recording are the goroutine's, if known. */
__noinline int report_connection(struct __sk_buff *skb, __u64 thread_g, __u64 recording)
{
	struct connection *c = connection_of(skb);
	struct settings *s = get_settings();
	struct initiator initiator = {};
	struct flow_key key;

	if (!c || !s || (c->reported == s->generation && (!thread_g || recording == c->sender)))
		return 0;
	key = c->key;
	if (thread_g)
		key.recording = recording;
	else if (sender_readable && s->process && c->pid == s->process) /* the sender need not be the initiator */
		key.recording = RECORDING_UNREAD;
	key.bound = bpf_get_socket_cookie(skb) | BOUND_IS_CONNECTION;
	c->reported = s->generation;
	c->sender = key.recording;
	if (is_known(&key))
		return 0;
	report_stack(&key, thread_g);
	initiator.pid = c->pid;
	record_new_of(&key, &initiator, c->key.generation, c->hint);
	return 0;
}

/*
 * Reads a packet of a connection that may be unreported in this generation, or for this sender. Not static, so
 * that other packets need no stack for it.
 */
__noinline int read_payload(struct __sk_buff *skb)
{
	__u64 thread_g, recording;

	if (!connection_sends(skb))
		return 0;
	thread_g = sending_goroutine(skb);
	recording = recording_of_sender(thread_g);
	return report_connection(skb, thread_g, recording);
}

/* Number of bytes that a TCP socket has sent, including this packet, without retransmissions. */
static __always_inline __u64 bytes_sent(struct bpf_sock *sk)
{
	__u64 at = socket_address(sk);

	return read_kernel_u64(at, sender_layout.bytes_sent) - read_kernel_u64(at, sender_layout.bytes_retrans);
}

/*
 * Whether a packet is the first payload of a task in scope on a connection that no task in scope opened: the task
 * received the socket or duplicated it, or MPTCP opened it earlier. From then on the connection belongs to the task, as
 * if it were from before the recording.
 *
 * For an accepted connection, all sent bytes are acknowledged or in flight; for an initiated one, the acknowledged
 * bytes include the SYN. The sender is known while a task owns the socket; packets that leave later were sent before.
 * Needs struct sender_layout.
 */
__noinline int attribute_connection(struct __sk_buff *skb)
{
	struct settings *s = get_settings();
	struct bpf_sock *sk = full_socket(skb);
	struct bpf_tcp_sock *tcp;
	struct connection *c;
	struct packet p;
	__u32 *syn, now;
	__u64 cgroup;
	int sends;

	if (!sender_layout.pid || !s || !sk || !is_owned(skb))
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
		bpf_sk_storage_get(&accepted, sk, 0, BPF_SK_STORAGE_GET_F_CREATE); /* else it is examined again */
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
 * Reports the flow of a packet's TCP socket again if the connection is older than this generation, or if other tasks
 * than the initiator may send.
 */
static __always_inline void report_reuse(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct connection *c = bpf_sk_storage_get(&connections, sk, 0, 0);
	struct settings *s;

	if (!c) {
		if (!bpf_sk_storage_get(&accepted, sk, 0, 0) && attribute_connection(skb))
			read_payload(skb);
		return;
	}
	s = get_settings();
	if (s && (s->generation != c->reported || (sender_readable && s->concurrent)))
		read_payload(skb);
}
