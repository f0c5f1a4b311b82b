/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The DNS name that led to the address of a new connection. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "maps.h"
#include "verifier.h"

#define CANDIDATE_NS 5000000000ULL /* how long after its answer a query may lead to a connection */

/*
 * Sets name and since of a key for a new connection of its scope to its address. With consume it consumes a query, and
 * returns whether one was pending. With DNS_MATCH_NONE the name is that of another connection's query, or none.
 */
static __always_inline enum dns_match set_name(struct flow_key *key, int consume)
{
	struct scope *scope = bpf_map_lookup_elem(&scopes, &key->cgroup);
	struct name_key address = { .cgroup = key->cgroup };
	__u64 now, match = unknown_zero(); /* DNS_MATCH_NONE */
	struct name *name;

	if (!scope)
		return match;
	key->name = scope->epoch;
	__builtin_memcpy(address.addr, key->addr, sizeof(address.addr));
	name = bpf_map_lookup_elem(&names, &address);
	if (!name)
		return match;
	now = bpf_ktime_get_ns(); /* here, because no helper may be called under the lock */
	bpf_spin_lock(&name->lock);
	if (name->epoch == key->name) {
		if (name->changed == name->since) {
			key->name = name->last;
		} else {
			key->name = name->changed;
			key->since = name->since;
		}
		if (consume && name->pending) {
			name->pending--;
			if (now < name->time + CANDIDATE_NS)
				match = DNS_MATCH;
		}
	}
	bpf_spin_unlock(&name->lock);
	return match;
}
