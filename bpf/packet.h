/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The headers of a packet, as far as flows need them: addresses, protocol, ports, where the payload starts. */
#pragma once

#include "connect.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define TCP_FLAGS_OFFSET 13
#define MAX_EXTENSIONS 6

struct packet {
	__u8 source[16];
	__u8 destination[16];
	__u32 transport; /* offset of the transport header */
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 family;
	__u8 fragment; /* not the first: no transport header */
	__u8 padding;
};

static __always_inline int is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_FRAGMENT;
}

static __always_inline int read_ipv6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return -1;
	p->family = 6;
	p->protocol = ip.nexthdr;
	p->transport = sizeof(ip);
	__builtin_memcpy(p->source, &ip.saddr, sizeof(p->source));
	__builtin_memcpy(p->destination, &ip.daddr, sizeof(p->destination));
	for (int i = 0; i < MAX_EXTENSIONS && is_extension(p->protocol); i++) {
		__u8 head[4];

		if (bpf_skb_load_bytes(skb, p->transport, head, sizeof(head)))
			return -1;
		if (p->protocol == IPPROTO_FRAGMENT) {
			p->fragment = head[2] || (head[3] & 0xf8);
			p->transport += 8;
		} else {
			p->transport += (head[1] + 1) * 8;
		}
		p->protocol = head[0];
	}
	return is_extension(p->protocol) ? -1 : 0;
}

static __always_inline int read_ipv4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return -1;
	p->family = 4;
	p->protocol = ip.protocol;
	p->transport = ip.ihl * 4;
	p->fragment = !!(ip.frag_off & bpf_htons(0x1fff));
	set_ipv4(p->source, ip.saddr);
	set_ipv4(p->destination, ip.daddr);
	return 0;
}

static __always_inline int has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE || protocol == IPPROTO_SCTP;
}

/* Reads the headers of a packet; non-zero where they cannot be read. */
static __always_inline int read_packet(struct __sk_buff *skb, struct packet *p)
{
	__u16 ports[2];
	int err;

	__builtin_memset(p, 0, sizeof(*p));
	if (skb->protocol == bpf_htons(ETH_P_IP))
		err = read_ipv4(skb, p);
	else
		err = read_ipv6(skb, p);
	if (err || p->fragment || !has_ports(p->protocol))
		return err;
	if (bpf_skb_load_bytes(skb, p->transport, ports, sizeof(ports)))
		return -1;
	p->source_port = bpf_ntohs(ports[0]);
	p->destination_port = bpf_ntohs(ports[1]);
	return 0;
}

/* What follows the IP header, to leave early: nearly all packets are TCP's. -1 where the packet is not one of IP. */
static __always_inline int first_protocol(struct __sk_buff *skb)
{
	__u8 protocol;
	long err = -1;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		err = bpf_skb_load_bytes(skb, offsetof(struct iphdr, protocol), &protocol, 1);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		err = bpf_skb_load_bytes(skb, offsetof(struct ipv6hdr, nexthdr), &protocol, 1);
	return err ? -1 : protocol;
}
