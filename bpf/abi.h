/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What kernel and user space say to each other: map keys and values, ring-buffer events, counters. bpf2go turns these
 * into Go types, so the layout is written down once. No holes: -Wpadded -Werror.
 *
 * Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d. Ports and counts are in host byte order. Times are nanoseconds of
 * CLOCK_MONOTONIC.
 */
#pragma once

#include <linux/types.h>

#define COMM_LEN 16
#define EXECUTABLE_LEN 64

/* How much of a cgroup's path is told: names from the cgroup upwards, and bytes of each with its NUL. */
#define CGROUP_NAMES 16
#define CGROUP_NAME_LEN 128

/* The longest DNS answer, or piece of a TCP segment, that travels in one event; a power of two. */
#define DNS_PAYLOAD 16384

/* The longest name of a DNS question on the wire, and the longest piece of a TCP segment with questions; powers of two. */
#define QUESTION_NAME_LEN 256
#define QUESTION_PIECE 2048

/* The longest server_name extension, or value of a Host header, that is read; a power of two. */
#define SERVER_NAME_LEN 512

/*
 * Set in the hash of a DNS question, and so in flow_key.name where that is one. Otherwise that is the epoch of the scope, or with since the
 * time at which the candidates changed last.
 */
#define NAME_IS_QUESTION (1ULL << 63)

/*
 * What makes two connections the same flow. name keeps two names behind one address apart: the questions whose answers
 * led this scope to addr (struct name). Where an answer could not be read in the kernel (over TCP, or malformed) name is the
 * number of such answers so far, so that what follows one never folds into what came before. bound does the same for servers that take
 * turns at one port. births does it for containers that take turns at one address: whatever was known before another was born is new.
 * recording keeps apart what tests open that run in parallel. executable does so for programs, each of which is evidence of its own: a
 * second one that opens a known flow is told of.
 */
struct flow_key {
	__u64 cgroup;     /* the scope, not a cgroup nested in it */
	__u64 netns;      /* cookie of the network namespace; 0 where the hook cannot tell */
	__u64 name;
	__u64 since;      /* where several names may be meant: those asked for from then on; else 0 */
	__u64 bound;      /* when a socket in scope last bound to the port; 0: none did; or a connection (tcp_connections.h) */
	__u64 cgroup_generation;     /* cgroups that were adopted until then */
	__u64 recording;  /* to which the task belongs (goroutine.h); 0: to none in particular */
	__u64 executable; /* of the task, by its name and directory; 0: the test process's, or unknown */
	__u8 addr[16];
	__u32 generation; /* settings.generation at the time */
	__u16 port;       /* of ICMP the type */
	__u8 protocol;
	__u8 family;      /* 4 or 6 */
};

struct initiator {
	__u32 pid; /* thread group id in the initial pid namespace */
	__u32 level; /* of the task's cgroup in the tree, while settings.level is 0; else 0 */
	__u8 comm[COMM_LEN];
	__u8 executable[EXECUTABLE_LEN]; /* file name; empty without struct layout, and of settings.process */
};

/* A new flow is written once; only count changes afterwards. */
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
	__u32 opened; /* of a connection from before key.generation, the generation in which it was opened; 0: before any */
	__u64 time;
	__u64 hint;   /* of the same, struct server_name_key.hash of what it named the server by; 0: not known */
	struct flow_key key;
	struct initiator initiator;
};

#define MAX_FRAMES 64

/*
 * Where in the test process something was opened, or named as a destination; told before what it belongs to, whose key it has (but for
 * births and generation).
 */
struct stack_event {
	__u32 kind;
	__u32 length;   /* of frames */
	struct flow_key key;
	__u64 goroutine; /* ids of the goroutine and of the one that started it */
	__u64 parent;
	__u64 creator;   /* return address of the go statement */
	__u64 frames[MAX_FRAMES]; /* return addresses, from the innermost */
};

/* A socket in scope got a local address: a server may be about to listen there. */
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
 * A cgroup was adopted: it was born during the recording, and has opened something. A container may be gone before user space looks, so
 * its names are read where its task is. Where a packet was seen first, it is told without them, and again once a task is there.
 */
struct cgroup_event {
	__u32 kind;
	__u32 reserved;
	__u64 time;
	__u64 cgroup;
	__u8 names[CGROUP_NAMES][CGROUP_NAME_LEN]; /* its own, then those of the cgroups it lies in; empty: unknown, or the root's */
};

#define CGROUP_PATH_LEN 512

/* A cgroup was made, of the v2 tree or another one, by anybody: nobody is in it yet. */
struct mkdir_event {
	__u32 kind;
	__u32 reserved;
	__u64 time;
	__u8 path[CGROUP_PATH_LEN]; /* from the root of its tree; the begin of a longer one */
};

/* A task came into a cgroup in olders, as that of a command that an engine runs in a container does. */
struct enter_event {
	__u32 kind;
	__u32 reserved;
	__u64 time;
	__u64 cgroup;
};

#define CLIENT_COMMAND_LEN 1024

/* A process that descends from the test process becomes a client of an engine, by its name; or it ends, and nothing else is set. */
struct client_event {
	__u32 kind;
	__u32 pid;
	__u64 time;
	__u64 recording;
	__u32 ended;
	__u32 length; /* of the command line; all of it need not be there */
	__u8 name[16];
	__u8 command[CLIENT_COMMAND_LEN]; /* each argument ends with a zero byte */
};

/* In dns_event.flags, of which the bits for FIN, SYN and RST are those of the TCP header: sent to port 53. */
#define DNS_SENT 0x80

/* A UDP answer to a question that was seen, or a piece of a TCP segment from port 53 or to it. Of answers only header and length bytes are sent. */
struct dns_event {
	__u32 kind;
	__u32 length;   /* of payload */
	__u64 time;
	__u64 cgroup;
	__u64 cookie;   /* of the socket */
	__u64 recording; /* of who asked */
	__u32 generation; /* settings.generation when he did; over TCP now */
	__u32 reserved;
	__u32 sequence; /* TCP sequence number of payload[0] */
	__u32 cut;      /* bytes that a UDP answer had beyond payload */
	__u8 protocol;
	__u8 flags;
	__u16 padding[3];
	__u8 payload[DNS_PAYLOAD];
};

/* A recording looks a name up for the first time in a generation, over UDP. */
struct question_event {
	__u32 kind;
	__u16 type;   /* of the records that are asked for */
	__u16 length; /* of name */
	__u64 time;
	__u64 cgroup;
	__u64 recording;
	__u64 netns;
	__u32 generation;
	__u32 padding;
	struct initiator initiator;
	__u8 name[QUESTION_NAME_LEN]; /* as on the wire, with the zero at its end */
};

/* What flow_key.recording is where no recording is known; the ids of recordings are 8 letters. */
enum no_recording {
	RECORDING_NONE = 0,
	RECORDING_UNREAD = 1, /* the goroutine's memory could not be read at that moment: the kernel may be moving it */
};

/* What the first bytes that a client sent over TCP name the server by. */
enum name_source {
	NAMES_NOTHING = 0,
	NAMES_BY_TLS = 1,       /* the body of the extension server_name */
	NAMES_BY_TLS_OUTER = 2, /* the same, of a hello that may hold an encrypted one with another name */
	NAMES_BY_HTTP = 3,      /* the value of the header Host */
};

/*
 * Whether a DNS question that led to the address waited for a connection. Look-ups are shared, and some are followed by no connection: the
 * connection that comes next may be another client's.
 */
enum dns_match {
	DNS_MATCH_NONE = 0,
	DNS_MATCH = 1,
};

/* What makes two TCP connections the same: also what they name the server by. */
struct server_name_key {
	struct flow_key flow;
	__u64 hash; /* of the source and of what it says, in lower case; 0: nothing */
	__u32 dns_match; /* enum asked */
	__u32 padding;
};

/* A connection of a known flow names the server by something new, or is the first one that sends something and names nothing. */
struct name_event {
	__u32 kind;
	__u16 length; /* of text */
	__u8 source;
	__u8 padding;
	__u64 time;
	struct server_name_key key;
	__u8 text[SERVER_NAME_LEN];
};

/* How recording can lose, and that hooks fire. Index into the per-CPU array counters. */
enum counter {
	LOST_FLOW_EVENT,  /* no room in the ring buffer for a new flow */
	LOST_FLOW_ENTRY,  /* no room in flows */
	LOST_BIND_EVENT,  /* no room for a bind, in the ring buffer or in ports */
	LOST_DNS_EVENT,   /* no room in the ring buffer for a DNS answer or question, or in questions or lookups */
	LOST_SOCKET,      /* no storage for a socket, or no room in peers */
	LOST_PACKET,      /* a packet in scope that could not be read */
	LOST_CGROUP_EVENT, /* no room in the ring buffer for a cgroup, which was not adopted */
	LOST_CGROUP_ENTRY, /* no room in scopes for a cgroup, which was not adopted */
	LOST_NAME_EVENT,   /* no room in the ring buffer for a server's name */
	LOST_NAME_ENTRY,   /* no room in server_names */
	LOST_CHILD,        /* no room in children for a process */
	LOST_STACK_EVENT,  /* no room in the ring buffer for a call stack */
	HIT_CONNECT,
	HIT_SENDMSG,
	HIT_EGRESS,
	HIT_INGRESS,
	HIT_BIND,
	COUNTERS,
};

/*
 * Where a task's executable and its cgroup have their names: byte offsets, which user space takes from the kernel's BTF; all 0 where it
 * has none. A task may be gone before user space can ask for them, so they are read in the kernel where they can be.
 */
struct layout {
	__u32 mm;         /* in struct task_struct */
	__u32 exe_file;   /* in struct mm_struct */
	__u32 dentry;     /* of f_path, in struct file */
	__u32 name;       /* of d_name, in struct dentry */
	__u32 cgroups;    /* in struct task_struct */
	__u32 cgroup;     /* of the v2 tree, in struct css_set */
	__u32 node;       /* in struct cgroup */
	__u32 node_name;  /* in struct kernfs_node */
	__u32 id;         /* in the same */
	__u32 parent;     /* in struct kernfs_node */
	__u32 hash;       /* of d_name, in struct dentry */
	__u32 arguments;  /* arg_start, in struct mm_struct */
	__u32 end;        /* arg_end, in the same */
};

/*
 * Where the Go runtime of the test process keeps what tells whose a goroutine is: byte offsets that user space found in the process
 * itself, and where the kernel keeps the thread's part of it. All 0 where either is unknown.
 */
struct goroutine_layout {
	__s64 slot;         /* of the pointer to g, from the thread pointer */
	__u64 key;          /* address of the label's name */
	__u64 key_length;
	__u32 thread;       /* the thread pointer, in struct task_struct */
	__u32 stack;        /* in struct task_struct; where g is in a register */
	__u32 registers;    /* the register, from there; else 0 */
	__u32 list;         /* of labels, in what labels points to */
	__u32 labels;       /* this and the following in g */
	__u32 id;
	__u32 creator_id;
	__u32 creator;
	__u32 syscall_sp;
	__u32 syscall_pc;
	__u32 syscall_bp;
	__u32 m;
	__u32 current;      /* in m */
	__u32 padding;
};

/* Where the kernel keeps who belongs to whom: byte offsets from its BTF. */
struct family_layout {
	__u32 tgid;   /* in struct task_struct */
	__u32 signal; /* in struct task_struct */
	__u32 live;   /* threads, in struct signal_struct */
	__u32 parent; /* real_parent, in struct task_struct */
};

/*
 * Where the kernel keeps which task sends a packet and whether a program holds its socket: byte offsets from its BTF. All 0 where one is
 * unknown.
 */
struct sender_layout {
	__u32 pid;          /* in struct task_struct */
	__u32 cgroups;      /* in struct task_struct */
	__u32 cgroup;       /* of the v2 tree, in struct css_set */
	__u32 node;         /* in struct cgroup */
	__u32 id;           /* in struct kernfs_node */
	__u32 level;        /* in struct cgroup */
	__u32 ancestors;    /* pointers, in struct cgroup; from 6.1 on, else 0 */
	__u32 ancestor_ids; /* before that, else 0 */
	__u32 socket;       /* in struct sock */
	__u32 file;         /* in struct socket */
	__u32 net;          /* in struct sock */
	__u32 net_cookie;   /* in struct net */
	__u32 owned;         /* sk_lock.owned, in struct sock */
	__u32 bytes_sent;    /* in struct tcp_sock */
	__u32 bytes_retrans; /* in struct tcp_sock */
};

/* Where the kernel keeps in which pid namespace a task is: byte offsets from its BTF; all 0 where it has none. */
struct inside_layout {
	__u32 thread_pid; /* in struct task_struct */
	__u32 level;      /* in struct pid */
	__u32 numbers;    /* in struct pid */
	__u32 nr;         /* in struct upid, of which numbers has one a level */
	__u32 ns;         /* in struct upid */
	__u32 upid;       /* the size of struct upid */
	__u32 inum;       /* of ns, in struct pid_namespace */
};

/* Written by user space. */
struct settings {
	__u32 generation; /* raised at the start of every recording: flows known before are new to it */
	__u32 level;      /* of the leaf cgroup in the tree, so that cgroups nested in it are in scope too */
	/*
	 * The id of the leaf cgroup, if cgroups born after it are to be adopted; else 0. Ids rise in the order of birth, so what has a lower one
	 * is neither younger than the leaf nor nested in it.
	 */
	__u64 new_cgroups_after;
	__u64 leaf;     /* the id of the leaf cgroup, if descendants of the test process are followed (process_tracking.h); else 0 */
	__u32 process;  /* the test process in the initial pid namespace, if goroutines are told apart; else 0 */
	__u32 ancestor; /* the same, if descendants are followed; else 0 */
	__u32 scanning; /* some descendants may not be in children yet: forks are judged by the parents of who forks */
	__u32 several;  /* whether more than one recording runs */
};

enum scope_state {
	SCOPE_WATCHED = 0, /* user space asked for it */
	SCOPE_TRACKED = 1, /* born during the recording */
	SCOPE_IGNORED = 2, /* user space found that it belongs to nobody */
};

struct scope {
	__u64 epoch; /* DNS answers that the kernel could not read */
	__u32 state;
	__u32 named; /* an adopted one's names were told, or cannot be */
};

/* What the program named as the destination of a datagram socket, before any address translation. */
struct socket {
	__u64 cgroup;              /* the scope that uses the socket, which may have been made before the recording */
	struct flow_key connected; /* by connect; port 0: never */
	struct flow_key named;     /* by the last sendto and the like; port 0: never */
	struct initiator connected_by;
	struct initiator named_by;
	/*
	 * Only without struct sender_layout: what was named before that, while no datagram has been seen leaving for it. A datagram whose
	 * destination was translated may be for either.
	 */
	struct flow_key earlier;
	struct initiator earlier_by;
};

/* Set in flow_key.bound where that is the cookie of a connection that was opened before; a time never has it. */
#define BOUND_IS_CONNECTION (1ULL << 63)

struct connection {
	struct flow_key key; /* as connect told it; of one that is older than the programs generation is 0, and port, if it is not known */
	__u64 hint;          /* the hash of what it named the server by; 0: nothing, or nothing that was read */
	__u32 pid;           /* of who opened it, as in struct opener */
	__u32 reported;          /* the generation in which its flow was told last */
	__u64 sender;        /* the recording that it was told for then */
};
