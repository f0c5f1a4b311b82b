/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Names of enforced policies (enforce.h): questions for undeclared ones are refused, and an answer gives its addresses
 * the declared ones.
 */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>

#include "abi.h"

#ifdef ENFORCE

#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "enforce.h"
#include "maps.h"
#include "packet.h"
#include "question.h"

#define MAX_ANSWER_NAMES 8 /* entries that match one question */

struct refused_question_key {
	__u64 cgroup;
	__u64 recording;
	__u64 hash;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct refused_question_key);
	__type(value, __u64);
} refused_questions SEC(".maps");

/* The entries of policies that match the question of the answer being read. Used on ingress only, as scratch is. */
struct answer_names {
	__u32 length; /* of names */
	__u32 padding;
	__u64 names[MAX_ANSWER_NAMES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answer_names);
} answer_names SEC(".maps");

static __always_inline struct answer_names *get_answer_names(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&answer_names, &zero);
}

/* Whether policy, 0 for any, has an entry. */
static __always_inline int has_name(__u32 policy, __u64 name)
{
	struct allowed_name_key key = { .policy = policy, .name = name };

	return !!bpf_map_lookup_elem(&allowed_names, &key);
}

/* Whether a policy has an entry for names below the one at offset; it begins at the given label of the question. */
__noinline int has_suffix(struct __sk_buff *skb, __u32 offset, __u32 policy, __u32 label)
{
	__u64 hash = hash_name(skb, offset);

	return has_name(policy, name_entry(hash, MATCH_ANY_LABELS)) ||
	       (label == 1 && has_name(policy, name_entry(hash, MATCH_ONE_LABEL)));
}

/* The offset of the next label, or 0 if there is none. */
static __always_inline __u32 next_label(struct __sk_buff *skb, __u32 offset)
{
	__u8 length;

	if (bpf_skb_load_bytes(skb, offset, &length, 1) || !length || length > DNS_MAX_LABEL)
		return 0;
	return offset + 1 + length;
}

/* Whether a policy has an entry that matches the name at offset. Not static, so that the loop is verified once. */
__noinline int declares(struct __sk_buff *skb, __u32 offset, __u32 policy)
{
	if (has_name(policy, name_entry(hash_name(skb, offset), MATCH_EXACT)))
		return 1;
	for (__u32 label = 1; label < MAX_NAME_LABELS; label++) {
		offset = next_label(skb, offset);
		if (!offset)
			return 0;
		if (has_suffix(skb, offset, policy, label))
			return 1;
	}
	return 0;
}

/*
 * Whether the policy of the recording that sent a question refuses it. The question was recorded before. Only questions
 * for addresses are refused. A resolver in a process may send one question for several recordings at the same moment.
 * If it is refused to the recording that sends it, the others get the error too.
 */
__noinline int refuses_question(struct __sk_buff *skb)
{
	struct question_key query = {};
	struct refused_question_key key = {};
	struct packet p;
	struct question *by;
	__u16 type;
	__u32 length, policy;

	if (read_packet(skb, &p) || p.fragment || p.protocol != IPPROTO_UDP)
		return 0;
	p.transport += UDP_HEADER;
	if (bpf_skb_load_bytes(skb, p.transport, &query.id, sizeof(query.id)))
		return 0;
	p.transport += DNS_HEADER;
	query.cookie = bpf_get_socket_cookie(skb);
	query.hash = hash_name(skb, p.transport);
	by = bpf_map_lookup_elem(&questions, &query);
	if (!by)
		return 0;
	key.cgroup = by->cgroup;
	key.recording = by->recording == RECORDING_UNREAD ? RECORDING_NONE : by->recording;
	key.hash = query.hash;
	policy = policy_of_packet(skb, key.cgroup, key.recording);
	if (!policy || declares(skb, p.transport, policy))
		return 0;
	length = name_length(skb, p.transport);
	if (bpf_skb_load_bytes(skb, p.transport + length, &type, sizeof(type)))
		return 0;
	type = bpf_ntohs(type);
	if (type != DNS_A && type != DNS_AAAA && type != DNS_HTTPS)
		return 0;
	return count_refused(&refused_questions, &key);
}

static __always_inline void add_answer_name(struct answer_names *names, __u64 name)
{
	__u32 length = names->length;

	if (!has_name(0, name))
		return;
	if (length >= MAX_ANSWER_NAMES) {
		count(LOST_ENFORCEMENT);
		return;
	}
	names->names[length & (MAX_ANSWER_NAMES - 1)] = name;
	names->length = length + 1;
}

/* Adds the entries of any policy for names below the one at offset. Not static, so that it is verified once. */
__noinline int add_suffixes(struct __sk_buff *skb, __u32 offset, __u32 label)
{
	struct answer_names *names = get_answer_names();
	__u64 hash = hash_name(skb, offset);

	if (!names)
		return 0;
	add_answer_name(names, name_entry(hash, MATCH_ANY_LABELS));
	if (label == 1)
		add_answer_name(names, name_entry(hash, MATCH_ONE_LABEL));
	return 0;
}

/* Finds the entries of all policies that match the question at offset, before its answer is read. */
__noinline int find_answer_names(struct __sk_buff *skb, __u32 offset)
{
	struct answer_names *names = get_answer_names();

	if (!names)
		return 0;
	names->length = 0;
	add_answer_name(names, name_entry(hash_name(skb, offset), MATCH_EXACT));
	for (__u32 label = 1; label < MAX_NAME_LABELS; label++) {
		offset = next_label(skb, offset);
		if (!offset)
			return 0;
		add_suffixes(skb, offset, label);
	}
	return 0;
}

/* Adds a name to an address. Not static, so that it is verified once. */
__noinline int add_address_name(__u64 cgroup, __u64 high, __u64 low, __u64 name)
{
	static const struct address_names none;
	struct name_key key = { .cgroup = cgroup };
	struct address_names *names;
	int known = 0;

	__builtin_memcpy(key.addr, &high, sizeof(high));
	__builtin_memcpy(key.addr + sizeof(high), &low, sizeof(low));
	names = bpf_map_lookup_elem(&address_names, &key);
	if (!names) {
		bpf_map_update_elem(&address_names, &key, &none, BPF_NOEXIST);
		names = bpf_map_lookup_elem(&address_names, &key);
	}
	if (!names) {
		count(LOST_ENFORCEMENT);
		return 0;
	}
	bpf_spin_lock(&names->lock);
	for (__u32 i = 0; i < MAX_ADDRESS_NAMES; i++)
		known |= names->names[i] == name;
	if (!known && names->length < MAX_ADDRESS_NAMES) {
		names->names[names->length & (MAX_ADDRESS_NAMES - 1)] = name;
		names->length++;
		known = 1;
	}
	bpf_spin_unlock(&names->lock);
	if (!known)
		count(LOST_ENFORCEMENT);
	return 0;
}

/* The answer that is being read has an address. */
static __always_inline void open_address(__u64 cgroup, const __u8 *addr)
{
	struct answer_names *names = get_answer_names();
	__u64 high, low;

	if (!names)
		return;
	__builtin_memcpy(&high, addr, sizeof(high));
	__builtin_memcpy(&low, addr + sizeof(high), sizeof(low));
	for (__u32 i = 0; i < MAX_ANSWER_NAMES; i++) {
		if (i >= names->length)
			return;
		add_address_name(cgroup, high, low, names->names[i]);
	}
}

#else

static __always_inline int refuses_question(struct __sk_buff *skb __attribute__((unused)))
{
	return 0;
}

static __always_inline void find_answer_names(struct __sk_buff *skb __attribute__((unused)),
					      __u32 offset __attribute__((unused)))
{
}

static __always_inline void open_address(__u64 cgroup __attribute__((unused)), const __u8 *addr __attribute__((unused)))
{
}

#endif
