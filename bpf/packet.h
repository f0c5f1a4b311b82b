/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The headers of a packet, as far as flows need them. */
#pragma once

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "addr.h"
#include "verifier.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define IP_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define MAX_EXTENSIONS 6

struct packet {
	__u8 source[16];
	__u8 destination[16];
	__u32 transport; /* offset of the transport header */
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 family;
	__u8 fragment; /* not the first one: no transport header */
	__u8 padding;
};

static __always_inline int is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_FRAGMENT;
}

/*
 * Follows the extension headers of an IPv6 packet; protocol is that of the first one. Returns the offset of the
 * transport header << 16 | whether it is a later fragment << 8 | the protocol, or a negative number if the headers
 * cannot be read. Not static, so that its callers are not verified for each number of headers.
 */
__noinline int follow_extensions(struct __sk_buff *skb, __u32 protocol)
{
	__u32 transport = sizeof(struct ipv6hdr), fragment = 0;

	for (int i = 0; i < MAX_EXTENSIONS && is_extension(protocol); i++) {
		__u8 head[4];

		if (bpf_skb_load_bytes(skb, transport, head, sizeof(head)))
			return -1;
		if (protocol == IPPROTO_FRAGMENT) {
			fragment = !!((head[2] << 8 | head[3]) & IPV6_FRAGMENT_OFFSET);
			transport += 8;
		} else {
			transport += (head[1] + 1) * 8;
		}
		protocol = head[0];
	}
	return is_extension(protocol) ? -1 : (int)(transport << 16 | fragment << 8 | (protocol & 0xff));
}

static __always_inline int read_ipv6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr ip;
	int end;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return -1;
	end = follow_extensions(skb, ip.nexthdr);
	if (end < 0)
		return -1;
	p->family = 6;
	p->protocol = end;
	p->fragment = end >> 8 & 1;
	p->transport = end >> 16;
	__builtin_memcpy(p->source, &ip.saddr, sizeof(p->source));
	__builtin_memcpy(p->destination, &ip.daddr, sizeof(p->destination));
	return 0;
}

static __always_inline int read_ipv4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return -1;
	p->family = 4;
	p->protocol = ip.protocol;
	p->transport = ip.ihl * 4;
	p->fragment = !!(ip.frag_off & bpf_htons(IP_FRAGMENT_OFFSET));
	set_ipv4(p->source, ip.saddr);
	set_ipv4(p->destination, ip.daddr);
	return 0;
}

static __always_inline int is_udp(__u32 protocol)
{
	return protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE;
}

static __always_inline int has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || is_udp(protocol) || protocol == IPPROTO_SCTP;
}

/* Reads the headers of a packet. Returns non-zero if they cannot be read. */
static __always_inline int read_packet(struct __sk_buff *skb, struct packet *p)
{
	__u16 ports[2];
	int err;

	__builtin_memset(p, 0, sizeof(*p));
	p->source_port = unknown_zero();
	p->destination_port = unknown_zero();
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

/*
 * The protocol after the first IP header, for an early exit: nearly all packets are TCP. -1 if it is not an IP packet.
 */
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

/* Number of bytes of a packet from an offset on. */
static __always_inline __u32 length_from(const struct __sk_buff *skb, __u32 offset)
{
	return skb->len > offset ? skb->len - offset : 0;
}

/* The header of a TCP segment. */
struct tcp_header {
	__u32 sequence; /* number of the SYN, or of the first byte */
	__u32 payload;  /* its offset in the packet */
	__u8 flags;
	__u8 padding[3];
};

/* Reads the TCP header at an offset of a packet. Returns non-zero if it cannot be read. */
static __always_inline int read_tcp(struct __sk_buff *skb, __u32 transport, struct tcp_header *tcp)
{
	__u8 head[10]; /* sequence number, acknowledgement number, header length, flags */
	__u32 sequence;

	if (bpf_skb_load_bytes(skb, transport + 4, head, sizeof(head)))
		return -1;
	__builtin_memcpy(&sequence, head, sizeof(sequence));
	tcp->sequence = bpf_ntohl(sequence);
	tcp->payload = transport + (head[8] >> 4) * 4;
	tcp->flags = head[9];
	return 0;
}
