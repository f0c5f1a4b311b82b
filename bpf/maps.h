/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The maps. Sizes are defaults; package probe sets those of flows, scopes and events when it loads. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

/* Deep enough for any tree in use. */
#define MAX_LEVEL 32

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} config SEC(".maps");

static __always_inline struct settings *get_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

/* cgroup id -> scope: whose events are recorded, and which newborn cgroups' are not. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct scope);
} scopes SEC(".maps");

/*
 * Processes that descend from the test process: process id -> recording, or RECORDING_NONE. With its room from the start: programs on
 * tracepoints may not allocate.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u64);
} children SEC(".maps");

/* Those of them that are clients of an engine: process id -> nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} clients SEC(".maps");

/* Pid namespaces that were made in a newborn cgroup, as a container's is: inode number -> id of the cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u64);
} pid_namespaces SEC(".maps");

/*
 * Cgroups of containers that are older than the recording: id -> how many tasks have come into it since. With its room from the start, as
 * children.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} older_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

struct name_key {
	__u64 cgroup;
	__u8 addr[16];
};

/*
 * What led to an address. Who connects need not be who asked last: those that ask at once for several names with one address connect in any
 * order. So all that were asked for since a certain time are candidates, until as many connections as questions have come, or nothing
 * has for a while. User space knows their names from the answers, each of which it gets while there are several.
 */
struct name {
	struct bpf_spin_lock lock;
	__u32 pending; /* questions less connections since then */
	__u64 last;    /* the hash of the question that was asked last */
	__u64 since;   /* the time of the first candidate's answer */
	__u64 changed; /* the time of the last candidate's answer; since, where there is one candidate */
	__u64 epoch;   /* of the scope when it was learned */
	__u64 time;    /* of the last answer */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct name_key);
	__type(value, struct name);
} names SEC(".maps");

/* A local port. */
struct port_key {
	__u64 netns;
	__u32 port;
	__u32 protocol;
};

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

/* Whether a port may be in ports, of whatever protocol and namespace: never forgotten. To look here costs next to nothing. */
__u8 bound_ports[65536];

static __always_inline __u8 *bound_port(__u32 port)
{
	asm volatile("%0 &= 0xffff" : "+r"(port)); /* else the compiler finds that it is so, and 5.10's verifier does not */
	return &bound_ports[port];
}

/* One remote end of one datagram socket. */
struct peer_key {
	__u64 cookie;
	__u8 addr[16];
	__u16 port;
	__u16 padding[3];
};

enum peer_role {
	PEER_INITIATED = 1, /* what we send there are replies */
	PEER_NAMED = 2,       /* the program named it as a destination */
};

struct peer {
	struct flow_key key; /* of what the program named */
	struct initiator initiator;
	__u32 role;
	__u32 padding;
};

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

/* What a thread has named as the destination of the packet that it is about to send; remote.cookie 0: nothing. */
struct destination {
	struct peer peer; /* first, so that its address is NULL where the lookup's is */
	struct peer_key remote;
};

/* By thread id in the initial pid namespace. A packet leaves microseconds after its destination was named. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct destination);
} destinations SEC(".maps");

/* TCP sockets whose SYN was reported, and the generation in which it was: the same SYN may be sent again. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} syns SEC(".maps");

/* TCP sockets that accepted their connection, as far as they were seen to send. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} accepted SEC(".maps");

/* How many connections named the server so. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct server_name_key);
	__type(value, __u64);
} server_names SEC(".maps");

/*
 * A TCP connection, until its first bytes have said who is meant: where its reader is (tcp_payload.h). It is the socket's, whose lock keeps it from being used twice at once, as what belongs to a CPU would be:
 * packets leave in interrupts too.
 */
struct client_hint {
	struct flow_key key;
	__u64 hash;     /* of what was kept so far */
	__u64 tail;     /* the last bytes of the request line */
	__u32 next;     /* sequence number of the first byte that was not read */
	__u32 bytes_read;   /* bytes that were read */
	__u32 offset;   /* of the first byte that was not read, in the packet */
	__u32 unread;   /* bytes of the packet from there on */
	__u32 skip;     /* bytes that say nothing */
	__u32 body;     /* bytes left of the hello */
	__u32 number;   /* that is being read */
	__u16 record;   /* bytes left of the TLS record */
	__u16 wanted;   /* the extension's type, then the bytes left of the one that is kept */
	__u16 kept;     /* bytes in text */
	__u8 state;
	__u8 digits;    /* bytes read of the number, or of the word that is compared */
	__u8 head;      /* bytes read of the TLS record's header */
	__u8 high;      /* the first byte of its length */
	__u8 source;
	__u8 synced;
	__u8 dns_match;     /* enum asked */
	__u8 padding[7];
	__u8 text[SERVER_NAME_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct client_hint);
} client_hints SEC(".maps");

/* One ring for all, so that a DNS answer stands before the connection that followed it. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/*
 * Room for one DNS event, too large for the stack, and for where its reader is: what a map holds is unknown to the verifier, which
 * therefore finds all rounds of a loop alike instead of following each offset for itself (volatile keeps it there). Used on ingress
 * only, which does not nest on a CPU.
 */
struct dns_reader {
	struct dns_event event;
	volatile __u64 question; /* the hash of its name, as far as that was read */
	volatile __u32 offset;
	volatile __u16 records;
	volatile __u8 left; /* bytes of a label */
	volatile __u8 found; /* ANSWER_IS_ bits of the records read so far */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dns_reader);
} scratch SEC(".maps");

/* FNV-1a, 64 bits: how names are hashed. */
#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

/* Not static: verified once, for itself. */
__noinline int count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &which);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}
