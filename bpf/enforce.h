/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What the policies of enforcing recordings refuse. Only enforce.bpf.c defines ENFORCE; elsewhere the functions at the
 * end stand for these and refuse nothing.
 *
 * A flow is recorded first, and then held against the policy of its recording: by its address, or by the names that
 * DNS gave the address in its scope. A name is known here before the program reads the answer. The names belong to the
 * scope, because a resolver in a process may ask once for several recordings; whether a name counts is a matter of each
 * policy.
 *
 * A connection that no system call in scope opened, as a further path of MPTCP, is refused by its SYN. Traffic over
 * connections from before is not refused. Names in answers over TCP, and addresses in hints of SVCB and SRV records, do
 * not count.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>

#include "abi.h"

#ifdef ENFORCE
#define REFUSES 1
#else
#define REFUSES 0
#endif

#ifdef ENFORCE

#include <linux/errno.h>
#include <bpf/bpf_helpers.h>

#include "addr.h"
#include "maps.h"

#define MAX_PORTS 32         /* ranges of one address or name */
#define MAX_ADDRESS_NAMES 32 /* declared names of one address */

/* Ports that a policy allows. A protocol of 0 stands for any. */
struct allowed_ports {
	__u32 length; /* of ranges */
	struct {
		__u16 first, last; /* of ICMP the types */
		__u8 protocol;
		__u8 padding;
	} ranges[MAX_PORTS];
};

/* Which policy a scope and a recording have. Recordings that are not known are 0. */
struct enforced_key {
	__u64 cgroup;
	__u64 recording;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct enforced_key);
	__type(value, __u32);
} enforced SEC(".maps");

/* The same for all scopes below a cgroup, which was made before the container in it: id -> policy. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} enforced_parents SEC(".maps");

/* The level of these cgroups in the tree; 0: there are none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} enforced_level SEC(".maps");

struct allowed_address_key {
	__u32 prefix_length; /* of all that follows */
	__u32 policy;
	__u32 family; /* 4 or 6: ::/0 does not contain ::ffff:192.0.2.1 */
	__u8 addr[16];
};

/* The longest prefix that contains an address decides alone. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct allowed_address_key);
	__type(value, struct allowed_ports);
} allowed_addresses SEC(".maps");

/* The hash of a question with the enum name_match in its lowest bits. The highest bit of the hash is always set. */
static __always_inline __u64 name_entry(__u64 hash, enum name_match match)
{
	return hash << 2 | match;
}

struct allowed_name_key {
	__u64 name;   /* name_entry */
	__u32 policy; /* 0: any policy has it */
	__u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 18);
	__type(key, struct allowed_name_key);
	__type(value, struct allowed_ports);
} allowed_names SEC(".maps");

/* The names of an address in a scope: entries that match a question whose answer had the address. None is removed. */
struct address_names {
	struct bpf_spin_lock lock;
	__u32 length; /* of names */
	__u64 names[MAX_ADDRESS_NAMES];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct name_key);
	__type(value, struct address_names);
} address_names SEC(".maps");

/* Number of connections or packets of each flow that were refused. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, __u64);
} refused SEC(".maps");

static __always_inline int holds(const struct allowed_ports *p, __u8 protocol, __u16 port)
{
	for (__u32 i = 0; i < MAX_PORTS; i++) {
		if (i >= p->length)
			return 0;
		if ((!p->ranges[i].protocol || p->ranges[i].protocol == protocol) && port >= p->ranges[i].first &&
		    port <= p->ranges[i].last)
			return 1;
	}
	return 0;
}

/* The policy of a scope and a recording; 0: it is not enforced. */
static __always_inline __u32 known_policy(__u64 cgroup, __u64 recording)
{
	struct enforced_key key = { .cgroup = cgroup, .recording = recording };
	__u32 *policy;

	if (recording == RECORDING_UNREAD)
		key.recording = RECORDING_NONE;
	policy = bpf_map_lookup_elem(&enforced, &key);
	return policy ? *policy : 0;
}

static __always_inline __u32 level_of_parents(void)
{
	__u32 zero = 0, *level = bpf_map_lookup_elem(&enforced_level, &zero);

	return level ? *level : 0;
}

/*
 * The policy of the scopes below a cgroup. A scope that has one keeps it: its answers have no task and no socket. Tasks
 * of the leaf may be in any cgroup, and have policies by recording only.
 */
static __always_inline __u32 policy_below(__u64 parent, __u64 cgroup)
{
	struct enforced_key key = { .cgroup = cgroup };
	__u32 *policy = bpf_map_lookup_elem(&enforced_parents, &parent);
	struct settings *s = get_settings();

	if (!policy || !s || cgroup == s->leaf)
		return 0;
	if (bpf_map_update_elem(&enforced, &key, policy, BPF_ANY))
		count(LOST_ENFORCEMENT);
	return *policy;
}

/* The policy of a flow that the current task opens. Not static, so that it is verified once. */
__noinline __u32 policy_of_task(__u64 cgroup, __u64 recording)
{
	__u32 policy = known_policy(cgroup, recording), level;

	if (policy)
		return policy;
	level = level_of_parents();
	return level ? policy_below(bpf_get_current_ancestor_cgroup_id(level), cgroup) : 0;
}

/* The policy of a packet. Not static, so that it is verified once. */
__noinline __u32 policy_of_packet(struct __sk_buff *skb, __u64 cgroup, __u64 recording)
{
	__u32 policy = known_policy(cgroup, recording), level;

	if (policy)
		return policy;
	level = level_of_parents();
	return level ? policy_below(bpf_skb_ancestor_cgroup_id(skb, level), cgroup) : 0;
}

/* Whether a policy has an entry for names with the port. Not static, so that the loop is verified once. */
__noinline int allows_name(__u32 policy, __u64 name, __u32 protocol, __u32 port)
{
	struct allowed_name_key key = { .policy = policy, .name = name };
	struct allowed_ports *ports = bpf_map_lookup_elem(&allowed_names, &key);

	return ports && holds(ports, protocol, port);
}

/* The same for an address. The halves of the address are in memory order. */
__noinline int allows_address(__u32 policy, __u64 high, __u64 low, __u32 protocol_and_port)
{
	struct allowed_address_key key = { .prefix_length = 8 * (sizeof(key) - sizeof(key.prefix_length)),
					   .policy = policy };
	struct allowed_ports *ports;

	__builtin_memcpy(key.addr, &high, sizeof(high));
	__builtin_memcpy(key.addr + sizeof(high), &low, sizeof(low));
	key.family = is_ipv4(key.addr) ? 4 : 6;
	ports = bpf_map_lookup_elem(&allowed_addresses, &key);
	return ports && holds(ports, protocol_and_port >> 16, protocol_and_port & 0xffff);
}

/* Whether a policy allows one of the names that an address has in a scope. */
__noinline int allows_names(__u32 policy, __u64 cgroup, __u64 high, __u64 low, __u32 protocol_and_port)
{
	struct name_key key = { .cgroup = cgroup };
	struct address_names *names;
	__u64 name;

	__builtin_memcpy(key.addr, &high, sizeof(high));
	__builtin_memcpy(key.addr + sizeof(high), &low, sizeof(low));
	names = bpf_map_lookup_elem(&address_names, &key);
	if (!names)
		return 0;
	for (__u32 i = 0; i < MAX_ADDRESS_NAMES; i++) {
		if (i >= names->length)
			return 0;
		name = names->names[i];
		if (allows_name(policy, name, protocol_and_port >> 16, protocol_and_port & 0xffff))
			return 1;
	}
	return 0;
}

static __always_inline int allows(__u32 policy, const struct flow_key *key)
{
	__u32 port = (__u32)key->protocol << 16 | key->port;
	__u64 high, low;

	__builtin_memcpy(&high, key->addr, sizeof(high));
	__builtin_memcpy(&low, key->addr + sizeof(high), sizeof(low));
	return allows_address(policy, high, low, port) || allows_names(policy, key->cgroup, high, low, port);
}

static __always_inline int count_refused(void *map, const void *key)
{
	__u64 *known = bpf_map_lookup_elem(map, key), one = 1;
	int err; /* not long: before 6.4 the upper half of a map helper's result is zero */

	if (!known) {
		err = bpf_map_update_elem(map, key, &one, BPF_NOEXIST);
		if (!err)
			return 1;
		known = err == -EEXIST ? bpf_map_lookup_elem(map, key) : NULL; /* another CPU was faster */
	}
	if (known)
		__sync_fetch_and_add(known, 1);
	else
		count(LOST_ENFORCEMENT);
	return 1;
}

/* Whether the policy of the current task refuses a flow that it opens. The flow was recorded before. */
static __always_inline int refuses_connect(const struct flow_key *key)
{
	__u32 policy = policy_of_task(key->cgroup, key->recording);

	return policy && !allows(policy, key) && count_refused(&refused, key);
}

/* Whether the policy of a packet's sender refuses its flow. The flow was recorded before. */
static __always_inline int refuses_packet(struct __sk_buff *skb, const struct flow_key *key)
{
	__u32 policy = policy_of_packet(skb, key->cgroup, key->recording);

	return policy && !allows(policy, key) && count_refused(&refused, key);
}

#else

static __always_inline int refuses_connect(const struct flow_key *key __attribute__((unused)))
{
	return 0;
}

static __always_inline int refuses_packet(struct __sk_buff *skb __attribute__((unused)),
					  const struct flow_key *key __attribute__((unused)))
{
	return 0;
}

#endif
