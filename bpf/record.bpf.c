//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Records the flows that tasks of some cgroups open, and the names that they looked up before.
 *
 * Hooks at the root of the cgroup v2 tree, none of which ever refuses or changes anything. Some of them are replaced by
 * those of enforce.bpf.c, which do, once a recording enforces its policy.
 *   cgroup/connect4|6     TCP flows, failed ones included; destinations of connected datagram sockets
 *   cgroup/sendmsg4|6     destinations of datagrams on other sockets
 *   cgroup/post_bind4|6   sockets that may be about to listen
 *   cgroup/sock_create    sockets that descendants of the test process create in other cgroups
 *   cgroup_skb/egress     evidence that a datagram left; raw sockets, ICMP, SCTP, UDP-Lite; TCP opened by the kernel;
 *                         DNS questions; server names of TLS and HTTP clients; connections from before the
 *                         recording
 *   cgroup_skb/ingress    DNS answers; who initiated the traffic on a datagram socket
 *
 * Raw tracepoints, which see the whole machine:
 *   sched_wakeup_new      descendants of the test process, and their recordings
 *   sched_process_exit    their end
 *   sched_process_exec    clients of an engine
 *   cgroup_mkdir          cgroups of containers that are about to start
 *   cgroup_attach_task    commands executed in older containers
 *
 * Kernel floor: 5.10. The programs need no BTF of the kernel. With BTF, the names of executables and of short-lived
 * cgroups are certain (struct task_layout), and the sender on a socket that another task created, or that MPTCP uses,
 * is known (struct sender_layout).
 *
 * Not seen: packet sockets (AF_PACKET), TUN devices and XDP, which pass below IP; DNS on other ports than 53 (DoT, DoH,
 * mDNS); names from /etc/hosts or from a Unix socket, unless the client names the server (server_name.h).
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "addr.h"
#include "bind.h"
#include "cgroup_tracking.h"
#include "connect.h"
#include "egress.h"
#include "enter.h"
#include "ingress.h"
#include "process_tracking.h"
#include "sock_create.h"

#define PROCEED 1
#define REFUSE 0 /* EPERM; in record.bpf.c nothing returns it */

/* Keeps types of ring-buffer events in the object's BTF, from which bpf2go generates the Go types. */
const struct flow_event *flow_event_type __attribute__((unused));
const struct bind_event *bind_event_type __attribute__((unused));
const struct cgroup_event *cgroup_event_type __attribute__((unused));
const struct question_event *question_event_type __attribute__((unused));
const struct mkdir_event *mkdir_event_type __attribute__((unused));
const struct enter_event *enter_event_type __attribute__((unused));
const struct client_event *client_event_type __attribute__((unused));
const struct name_event *name_event_type __attribute__((unused));
const enum name_source *name_source_type __attribute__((unused));
const enum no_recording *no_recording_type __attribute__((unused));
const struct stack_event *stack_event_type __attribute__((unused));
const struct socket *socket_type __attribute__((unused));
const struct connection *connection_type __attribute__((unused));
const enum dns_flag *dns_flag_type __attribute__((unused));
const enum event_kind *event_kind_type __attribute__((unused));
const enum scope_state *scope_state_type __attribute__((unused));
const enum counter *counter_type __attribute__((unused));
const enum name_match *name_match_type __attribute__((unused));

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	__u8 addr[16];

	set_ipv4(addr, ctx->user_ip4);
	return on_connect(ctx, addr) ? REFUSE : PROCEED;
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	__u32 addr[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };

	return on_connect(ctx, (const __u8 *)addr) ? REFUSE : PROCEED;
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	__u8 addr[16];

	set_ipv4(addr, ctx->user_ip4);
	on_sendmsg(ctx, addr);
	return PROCEED;
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	__u32 addr[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };

	on_sendmsg(ctx, (const __u8 *)addr);
	return PROCEED;
}

SEC("cgroup/post_bind4")
int post_bind4(struct bpf_sock *ctx)
{
	__u8 addr[16];

	set_ipv4(addr, ctx->src_ip4);
	on_bind(ctx, addr);
	return PROCEED;
}

SEC("cgroup/post_bind6")
int post_bind6(struct bpf_sock *ctx)
{
	__u32 addr[4] = { ctx->src_ip6[0], ctx->src_ip6[1], ctx->src_ip6[2], ctx->src_ip6[3] };

	on_bind(ctx, (const __u8 *)addr);
	return PROCEED;
}

SEC("cgroup/sock_create")
int sock_create(struct bpf_sock *ctx)
{
	on_create(ctx);
	return PROCEED;
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	return on_egress(skb) ? REFUSE : PROCEED;
}

SEC("cgroup_skb/ingress")
int ingress(struct __sk_buff *skb)
{
	on_ingress(skb);
	return PROCEED;
}

SEC("raw_tracepoint/sched_wakeup_new")
int process_forks(struct tracepoint_args *ctx)
{
	on_fork(ctx);
	return 0;
}

SEC("raw_tracepoint/sched_process_exit")
int process_exits(void *ctx __attribute__((unused)))
{
	on_exit();
	return 0;
}

SEC("raw_tracepoint/sched_process_exec")
int process_execs(void *ctx __attribute__((unused)))
{
	on_exec();
	return 0;
}

SEC("raw_tracepoint/cgroup_mkdir")
int cgroup_made(struct mkdir_args *ctx)
{
	on_mkdir(ctx);
	return 0;
}

SEC("raw_tracepoint/cgroup_attach_task")
int cgroup_entered(struct attach_args *ctx)
{
	on_attach(ctx);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
