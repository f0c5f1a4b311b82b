/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Maps. The sizes are defaults; package probe sets those of flows, scopes and events when it loads the programs. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

/* Deeper than any tree in use. */
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

/* cgroup id -> scope: which cgroups are recorded, and which new ones are ignored. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct scope);
} scopes SEC(".maps");

/*
 * Descendants of the test process: process id -> recording, or RECORDING_NONE. Preallocated: programs on tracepoints
 * may not allocate.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u64);
} children SEC(".maps");

/* Processes that are clients of an engine: process id -> unused. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} clients SEC(".maps");

/* Pid namespaces created in a new cgroup, as a container's is: inode number -> id of the cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} pid_namespaces SEC(".maps");

/*
 * Cgroups of containers that are older than the recording: id -> number of tasks that entered it since. Preallocated,
 * as children is.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
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
 * The DNS questions that led to an address. The next connection need not belong to the last query: tasks that query
 * several names of one address at the same time connect in any order. So all names queried since a certain time are
 * candidates, until there were as many connections as queries, or no query for a while. User space gets each answer
 * while there are several candidates, and so knows their names.
 */
struct name {
	struct bpf_spin_lock lock;
	__u32 pending; /* queries minus connections since then */
	__u64 last;    /* hash of the last question */
	__u64 since;   /* time of the first candidate's answer */
	__u64 changed; /* time of the last candidate's answer; equals since if there is one candidate */
	__u64 epoch;   /* of the scope at the last answer */
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
 * When a socket in scope last bound to each port. The least recently used port is evicted: its flows are new again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct port_key);
	__type(value, __u64);
} ports SEC(".maps");

/*
 * Whether a port may be in ports, for any protocol and namespace. Never evicted, and cheaper to look up than ports.
 */
__u8 bound_ports[65536];

static __always_inline __u8 *bound_port(__u32 port)
{
	/* Otherwise the compiler drops the mask, and the verifier of 5.10 does not know the bound. */
	asm volatile("%0 &= 0xffff" : "+r"(port));
	return &bound_ports[port];
}

/* A remote end of a datagram socket. */
struct peer_key {
	__u64 cookie;
	__u8 addr[16];
	__u16 port;
	__u16 padding[3];
};

enum peer_role {
	PEER_INITIATED = 1, /* it initiated the traffic: our datagrams are replies */
	PEER_NAMED = 2,     /* a program named it as a destination */
};

struct peer {
	struct flow_key key; /* of what the program named */
	struct initiator initiator;
	__u32 role;
	__u32 padding;
};

/*
 * The least recently used peers are evicted. A reply to an evicted initiator looks like a new flow: recorded, not lost.
 * A client that receives from an evicted peer before it sends again looks like a server, but its flow is known.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct peer_key);
	__type(value, struct peer);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket);
} sockets SEC(".maps");

/* The destination that a thread named for the packet it is about to send. remote.cookie 0: none. */
struct destination {
	struct peer peer; /* first, so that its address is NULL if the lookup's result is */
	struct peer_key remote;
};

/* By thread id in the initial pid namespace. A packet leaves microseconds after its destination was named. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct destination);
} destinations SEC(".maps");

/* TCP sockets whose SYN was reported, and in which generation: a SYN may be retransmitted. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} syns SEC(".maps");

/* TCP sockets that accepted their connection and have sent since. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} accepted SEC(".maps");

/* Number of connections that named the server this way. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct server_name_key);
	__type(value, __u64);
} server_names SEC(".maps");

/*
 * The state of the parser that reads how a TCP client names the server (tcp_payload.h). It is stored with the socket:
 * the socket's lock serializes its packets. Per-CPU memory would not be safe: packets also leave in interrupts.
 */
struct client_hint {
	struct flow_key key;
	__u64 hash;       /* of the bytes in text */
	__u64 tail;       /* last bytes of the request line */
	__u32 next;       /* sequence number of the first unread byte */
	__u32 bytes_read; /* number of bytes read */
	__u32 offset;     /* of the first unread byte in the packet */
	__u32 unread;     /* unread bytes of the packet */
	__u32 skip;       /* bytes to skip */
	__u32 body;       /* unread bytes of the ClientHello */
	__u32 number;     /* the number being read */
	__u16 record;     /* unread bytes of the TLS record */
	__u16 wanted;     /* type of the extension, then its unread bytes */
	__u16 kept;       /* bytes in text */
	__u8 state;
	__u8 digits; /* bytes read of the number, or of the compared word */
	__u8 head;   /* bytes read of the TLS record header */
	__u8 high;   /* first byte of the record's length */
	__u8 source;
	__u8 synced;
	__u8 dns_match; /* enum dns_match */
	__u8 padding[7];
	__u8 text[SERVER_NAME_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct client_hint);
} client_hints SEC(".maps");

/* One ring for all events, so that a DNS answer precedes the connection that follows it. */
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
 * Room for one DNS event, which is too large for the stack, and the state of its reader. The verifier knows nothing
 * about values in a map, so all rounds of a loop look the same to it (volatile keeps the compiler from caching them).
 * Used on ingress only, which does not nest on a CPU.
 */
struct dns_reader {
	struct dns_event event;
	volatile __u64 question; /* hash of its name, as far as it was read */
	volatile __u32 offset;
	volatile __u16 records;
	volatile __u8 left;  /* bytes of a label */
	volatile __u8 found; /* ANSWER_ bits of the records read so far */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dns_reader);
} scratch SEC(".maps");

/* FNV-1a with 64 bits, for names. */
#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL

/* Not static, so that it is verified once. */
__noinline int count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &which);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}
