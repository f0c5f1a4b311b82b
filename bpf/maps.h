/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The maps. Sizes are defaults; package probe sets those of flows, scopes and events when it loads. */
#pragma once

#include "abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} config SEC(".maps");

/* cgroup id -> scope: whose events are recorded, and which newborn cgroups' are not. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct scope);
} scopes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct name_key);
	__type(value, struct name);
} names SEC(".maps");

/*
 * When each port was last bound to by a socket in scope. Forgets the ports that were left alone longest, whose flows are then new once
 * more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct port_key);
	__type(value, __u64);
} ports SEC(".maps");

/*
 * Forgets the peers that were silent longest. A server that answers a forgotten one seems to have opened a flow (seen,
 * not lost); a client that hears from a forgotten one before it sends again is taken for a server, its flow being known.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct peer_key);
	__type(value, struct peer);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket);
} sockets SEC(".maps");

/* One ring for all, so that a DNS answer stands before the connection that followed it. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/*
 * Room for one DNS event, too large for the stack, and for where its reader is: what a map holds is unknown to the verifier, which
 * therefore finds all rounds of a loop alike instead of following each offset for itself (volatile keeps it there). Used on ingress only, which does not nest on
 * a CPU.
 */
struct dns_reader {
	struct dns_event event;
	volatile __u32 offset;
	volatile __u16 records;
	volatile __u8 left; /* bytes of a label */
	volatile __u8 news;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dns_reader);
} scratch SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &which);

	if (n)
		__sync_fetch_and_add(n, 1);
}
