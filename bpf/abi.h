/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The interface between kernel and user space: map keys and values, ring-buffer events, counters. bpf2go generates the
 * Go types, so the layout is written down once. There are no holes: -Wpadded -Werror.
 *
 * Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d. Ports and counts are in host byte order. Times are nanoseconds of
 * CLOCK_MONOTONIC.
 */
#pragma once

#include <linux/types.h>

#define COMM_LEN 16
#define EXECUTABLE_LEN 64

/* How much of a cgroup's path is sent: how many names, and how many bytes of each, with its NUL. */
#define CGROUP_NAMES 16
#define CGROUP_NAME_LEN 128

/* The longest DNS answer, or piece of a TCP segment, in one event. A power of two. */
#define DNS_PAYLOAD 16384

/*
 * The longest name of a DNS question on the wire, and the longest piece of a TCP segment with questions. Powers of two.
 */
#define QUESTION_NAME_LEN 256
#define QUESTION_PIECE 2048

/* The longest server_name extension or Host header value that is read. A power of two. */
#define SERVER_NAME_LEN 512

/* Set in the hash of a DNS question, and so in flow_key.name if that is a question. */
#define NAME_IS_QUESTION (1ULL << 63)

/*
 * What makes two connections the same flow.
 *
 * name distinguishes names that share an address. It is the hash of the DNS question whose answer led this scope to
 * addr (NAME_IS_QUESTION). If several questions are candidates (since is set), it is the time at which the candidates
 * last changed. Otherwise it is the epoch of the scope: the number of answers that the kernel could not read (over TCP,
 * or malformed). So no flow after such an answer is folded into an earlier one.
 *
 * bound distinguishes servers that use the same port in turn. cgroup_generation distinguishes containers that have the
 * same address in turn: every flow is new once another cgroup is tracked. recording distinguishes parallel tests.
 * executable distinguishes programs: each is evidence of its own, so a second program with a known flow is reported.
 */
struct flow_key {
	__u64 cgroup; /* the scope, not a cgroup nested in it */
	__u64 netns;  /* cookie of the network namespace; 0 if the hook cannot read it */
	__u64 name;
	__u64 since; /* time of the first candidate's answer, if several names are candidates; else 0 */
	__u64 bound; /* time of the last bind to the port by a socket in scope, else 0; or BOUND_IS_CONNECTION */
	__u64 cgroup_generation; /* number of cgroups tracked until then */
	__u64 recording;         /* of the task (goroutine.h), or an enum no_recording */
	__u64 executable;        /* identifies the task's executable; 0: the test process's, or unknown */
	__u8 addr[16];
	__u32 generation; /* settings.generation at the time */
	__u16 port;       /* of ICMP the type */
	__u8 protocol;
	__u8 family; /* 4 or 6 */
};

struct initiator {
	__u32 pid;   /* thread group id in the initial pid namespace */
	__u32 level; /* of the task's cgroup in the tree, while settings.level is 0; else 0 */
	__u8 comm[COMM_LEN];
	__u8 executable[EXECUTABLE_LEN]; /* file name; empty without struct layout, and for settings.process */
};

/* A new flow is written once. Only count changes afterwards. */
struct flow {
	__u64 count;
	__u64 first;
	struct initiator initiator;
};

enum event_kind {
	EVENT_FLOW = 1,
	EVENT_BIND = 2,
	EVENT_DNS = 3,
	EVENT_CGROUP = 4,
	EVENT_NAME = 5,
	EVENT_STACK = 6,
	EVENT_QUESTION = 7,
	EVENT_MKDIR = 8,
	EVENT_ENTER = 9,
	EVENT_CLIENT = 10,
};

struct flow_event {
	__u32 kind;
	__u32 opened; /* generation in which an earlier connection was opened; 0: before any */
	__u64 time;
	__u64 hint; /* server_name_key.hash of an earlier connection; 0: unknown */
	struct flow_key key;
	struct initiator initiator;
};

#define MAX_FRAMES 64

/*
 * Where in the test process a flow was opened, or a destination named. Sent before its flow event, with the same key,
 * except cgroup_generation and generation. For a lookup, bound is the cookie of the socket with BOUND_IS_CONNECTION.
 */
struct stack_event {
	__u32 kind;
	__u32 length; /* of frames */
	struct flow_key key;
	__u64 goroutine; /* ids of the goroutine and of its creator */
	__u64 parent;
	__u64 creator;            /* return address of the go statement */
	__u64 frames[MAX_FRAMES]; /* return addresses, innermost first */
};

/* A socket in scope was bound to a local address: a server may be about to listen there. */
struct bind_event {
	__u32 kind;
	__u32 reserved;
	__u64 time;
	__u64 cgroup;
	__u64 netns;
	__u8 addr[16];
	struct initiator initiator;
	__u16 port;
	__u8 protocol;
	__u8 family;
	__u32 padding;
};

/*
 * A new cgroup is tracked: it was created during the recording, and opened a flow or a socket. A container may have
 * exited before user space reads its path, so the kernel reads it from the task. If the first event was a packet, the
 * path is unknown: the event is sent again with the names once there is a task.
 */
struct cgroup_event {
	__u32 kind;
	__u32 reserved;
	__u64 time;
	__u64 cgroup;
	__u8 names[CGROUP_NAMES][CGROUP_NAME_LEN]; /* its own, then its ancestors'; empty: unknown, or the root's */
};

#define CGROUP_PATH_LEN 512

/* A cgroup was created, in the v2 tree or in another one. No process is in it yet. */
struct mkdir_event {
	__u32 kind;
	__u32 reserved;
	__u64 time;
	__u8 path[CGROUP_PATH_LEN]; /* from the root of its tree; truncated if it is longer */
};

/* A task entered a cgroup in older_cgroups, as a command that an engine executes in a container does. */
struct enter_event {
	__u32 kind;
	__u32 reserved;
	__u64 time;
	__u64 cgroup;
	__u64 by; /* the cgroup of the task that moved it there; the same one if it moved itself */
};

#define CLIENT_COMMAND_LEN 1024

/*
 * A process executed a client of an engine, judged by its name; or such a client ended. Clients that do not descend
 * from the test process are reported too: one may have started a container that looks like the test's.
 */
struct client_event {
	__u32 kind;
	__u32 pid;
	__u64 time;
	__u64 recording;
	__u8 ended;
	__u8 unrelated; /* it does not descend from the test process */
	__u16 unused;
	__u32 length; /* of the command line, which may be longer than command */
	__u8 name[16];
	__u8 command[CLIENT_COMMAND_LEN]; /* each argument ends with a NUL */
};

/* Bits of dns_event.flags. Those of TCP are as in its header. */
enum dns_flag {
	DNS_FIN = 0x01,
	DNS_SYN = 0x02,
	DNS_RST = 0x04,
	DNS_SENT = 0x80, /* to port 53 */
};

/*
 * A UDP answer to a recorded question, or a piece of a TCP segment from or to port 53. Only the header and length bytes
 * of payload are sent.
 */
struct dns_event {
	__u32 kind;
	__u32 length; /* of payload */
	__u64 time;
	__u64 cgroup;
	__u64 cookie;     /* of the socket */
	__u64 recording;  /* of the initiator of the query */
	__u32 generation; /* settings.generation at the query; over TCP: now */
	__u32 reserved;
	__u32 sequence; /* TCP sequence number of payload[0] */
	__u32 cut;      /* bytes of a UDP answer beyond payload */
	__u8 protocol;
	__u8 flags;
	__u16 padding[3];
	__u8 payload[DNS_PAYLOAD];
};

/* A recording looks up a name over UDP, for the first time in a generation. */
struct question_event {
	__u32 kind;
	__u16 type;   /* of the requested records */
	__u16 length; /* of name */
	__u64 time;
	__u64 cgroup;
	__u64 recording;
	__u64 netns;
	__u64 cookie; /* of the socket */
	__u32 generation;
	__u32 padding;
	struct initiator initiator;
	__u8 name[QUESTION_NAME_LEN]; /* as on the wire, with the final zero */
};

/* Values of flow_key.recording without a known recording. The id of a recording is 8 letters. */
enum no_recording {
	RECORDING_NONE = 0,
	RECORDING_UNREAD = 1, /* the goroutine's memory was unreadable: the kernel may be migrating the page */
};

/* Which part of a client's first payload over TCP names the server. */
enum name_source {
	NAMES_NOTHING = 0,
	NAMES_BY_TLS = 1,       /* body of the server_name extension */
	NAMES_BY_TLS_OUTER = 2, /* the same, of a ClientHello that may contain an encrypted one with another name */
	NAMES_BY_HTTP = 3,      /* value of the Host header */
};

/*
 * Whether a DNS query for the address was still without a connection. Other clients may share a query, and some queries
 * lead to no connection, so the next connection need not belong to the client that sent the query.
 */
enum dns_match {
	DNS_MATCH_NONE = 0,
	DNS_MATCH = 1,
};

/* What makes two TCP connections the same: the flow, and how the client names the server. */
struct server_name_key {
	struct flow_key flow;
	__u64 hash;      /* of source and text, in lower case; 0: no name */
	__u32 dns_match; /* enum dns_match */
	__u32 padding;
};

/* A connection of a known flow names the server in a new way, or is the first one to send payload without a name. */
struct name_event {
	__u32 kind;
	__u16 length; /* of text */
	__u8 source;
	__u8 padding;
	__u64 time;
	struct server_name_key key;
	__u8 text[SERVER_NAME_LEN];
};

/* Ways to lose events. Index into the per-CPU array counters. */
enum counter {
	LOST_FLOW_EVENT,   /* no room in the ring buffer for a new flow */
	LOST_FLOW_ENTRY,   /* no room in flows */
	LOST_BIND_EVENT,   /* no room for a bind, in the ring buffer or in ports */
	LOST_DNS_EVENT,    /* no room for a DNS answer or question, in the ring buffer, questions or lookups */
	LOST_SOCKET,       /* no storage for a socket, or no room in peers */
	LOST_PACKET,       /* an unreadable packet in scope */
	LOST_CGROUP_EVENT, /* no room in the ring buffer for a new cgroup, which is not tracked */
	LOST_CGROUP_ENTRY, /* no room in scopes for a new cgroup, which is not tracked */
	LOST_NAME_EVENT,   /* no room in the ring buffer for a server name */
	LOST_NAME_ENTRY,   /* no room in server_names */
	LOST_CHILD,        /* no room in children for a process */
	LOST_STACK_EVENT,  /* no room in the ring buffer for a call stack */
	LOST_ENFORCEMENT,  /* no room for what an enforced policy refused, or for a name that it declares */
	COUNTERS,
};

/*
 * Where the kernel stores the names of a task's executable and cgroups: byte offsets from the kernel's BTF, all 0
 * without BTF. A short-lived task may have exited before user space can read them, so the kernel does if it can.
 */
struct task_layout {
	__u32 mm;        /* in struct task_struct */
	__u32 exe_file;  /* in struct mm_struct */
	__u32 dentry;    /* of f_path, in struct file */
	__u32 name;      /* of d_name, in struct dentry */
	__u32 cgroups;   /* in struct task_struct */
	__u32 cgroup;    /* of the v2 tree, in struct css_set */
	__u32 node;      /* in struct cgroup */
	__u32 node_name; /* in struct kernfs_node */
	__u32 id;        /* in the same */
	__u32 parent;    /* in struct kernfs_node */
	__u32 hash;      /* of d_name, in struct dentry */
	__u32 arguments; /* arg_start, in struct mm_struct */
	__u32 end;       /* arg_end, in the same */
};

/*
 * Where the Go runtime of the test process stores goroutines: byte offsets that user space found in the process, and
 * where the kernel stores the thread pointer. All 0 if either is unknown.
 */
struct goroutine_layout {
	__s64 slot; /* of the pointer to g, relative to the thread pointer */
	__u64 key;  /* address of the label's key */
	__u64 key_length;
	__u32 thread;    /* the thread pointer, in struct task_struct */
	__u32 stack;     /* in struct task_struct, if g is in a register */
	__u32 registers; /* the register, relative to the stack; else 0 */
	__u32 list;      /* offset of the labels in the struct that labels points to */
	__u32 labels;    /* offset in g, as are those that follow */
	__u32 id;
	__u32 creator_id;
	__u32 creator;
	__u32 syscall_sp;
	__u32 syscall_pc;
	__u32 syscall_bp;
	__u32 m;
	__u32 current; /* in m */
	__u32 padding;
};

/* How processes are related: byte offsets from the kernel's BTF. */
struct family_layout {
	__u32 tgid;   /* in struct task_struct */
	__u32 signal; /* in struct task_struct */
	__u32 live;   /* number of live threads, in struct signal_struct */
	__u32 parent; /* real_parent, in struct task_struct */
};

/*
 * Where the kernel stores the task that sends a packet, and the file of its socket: byte offsets from the kernel's BTF.
 * All 0 if one is unknown, or the cgroup of a task is.
 */
struct sender_layout {
	__u32 pid;           /* in struct task_struct */
	__u32 level;         /* in struct cgroup */
	__u32 ancestors;     /* pointers, in struct cgroup; from 6.1 on, else 0 */
	__u32 ancestor_ids;  /* before that, else 0 */
	__u32 socket;        /* in struct sock */
	__u32 file;          /* in struct socket */
	__u32 net;           /* in struct sock */
	__u32 net_cookie;    /* in struct net */
	__u32 owned;         /* sk_lock.owned, in struct sock */
	__u32 bytes_sent;    /* in struct tcp_sock */
	__u32 bytes_retrans; /* in struct tcp_sock */
};

/* Where the kernel stores the pid namespace of a task: byte offsets from the kernel's BTF, all 0 without BTF. */
struct pid_namespace_layout {
	__u32 thread_pid; /* in struct task_struct */
	__u32 level;      /* in struct pid */
	__u32 numbers;    /* in struct pid */
	__u32 nr;         /* in struct upid; numbers has one for each level */
	__u32 ns;         /* in struct upid */
	__u32 upid;       /* the size of struct upid */
	__u32 inum;       /* of ns, in struct pid_namespace */
};

/* What an entry for names in an enforced policy stands for. */
enum name_match {
	MATCH_EXACT = 0,
	MATCH_ONE_LABEL = 1,  /* names with one label before it */
	MATCH_ANY_LABELS = 2, /* names with one or more labels before it */
};

/* Written by user space. */
struct settings {
	__u32 generation; /* raised at the start of every recording, so that known flows are reported again */
	__u32 level;      /* of the leaf cgroup in the tree: nested cgroups are in scope too */
	/*
	 * The id of the leaf cgroup, if cgroups created after it are tracked; else 0. Cgroup ids rise, so a cgroup with
	 * a lower id is neither newer than the leaf nor nested in it.
	 */
	__u64 new_cgroups_after;
	__u64 leaf;       /* the id of the leaf cgroup, if descendants are tracked (process_tracking.h); else 0 */
	__u32 process;    /* of the test process in the initial pid namespace, for goroutine attribution; else 0 */
	__u32 ancestor;   /* the same, if descendants are tracked; else 0 */
	__u32 scanning;   /* some descendants may be missing in children: the parents of a forking task decide */
	__u32 concurrent; /* more than one recording is active */
};

enum scope_state {
	SCOPE_WATCHED = 0, /* requested by user space */
	SCOPE_TRACKED = 1, /* created during the recording */
	SCOPE_IGNORED = 2, /* user space found that it is unrelated */
};

struct scope {
	__u64 epoch; /* number of DNS answers that the kernel could not read */
	__u32 state;
	__u32 named; /* the names of a tracked cgroup were sent, or cannot be read */
};

/* What the program named as the destination of a datagram socket, before address translation. */
struct socket {
	__u64 cgroup;              /* the scope that uses the socket, which may be older than the recording */
	struct flow_key connected; /* by connect; port 0: never */
	struct flow_key named;     /* by the last sendto or similar call; port 0: never */
	struct initiator connected_by;
	struct initiator named_by;
	/*
	 * Only without struct sender_layout: the destination before named, as long as no datagram was seen leaving for
	 * it. A datagram with a translated destination may be for either.
	 */
	struct flow_key earlier;
	struct initiator earlier_by;
};

/* Set in flow_key.bound if that is the cookie of an earlier connection. A time never has this bit. */
#define BOUND_IS_CONNECTION (1ULL << 63)

struct connection {
	struct flow_key key; /* of connect; generation 0: older than the programs; port 0: unknown */
	__u64 hint;          /* of the name of the server; 0: none, or none was read */
	__u32 pid;           /* of the initiator, as in struct initiator */
	__u32 reported;      /* the last generation in which its flow was reported */
	__u64 sender;        /* the recording for which it was reported then */
};
