// Package testnet builds a small private internet for one test: two network namespaces that a veth pair joins, with
// servers and DNS at documentation addresses outside and the program under test inside.
//
//	inside                             outside
//	192.0.2.2/24        --- veth ---   192.0.2.1/24
//	2001:db8:1::2/64                   2001:db8:1::1/64
//	routes to the three ranges         hosts in 203.0.113.0/24, 198.51.100.0/24, 2001:db8::/32
//
// The packets are real and none leaves the two namespaces: there is no default route and no forwarding. Addresses
// behave as on the internet:
//
//   - a host's port with a server: it answers;
//   - a host's port without one: refused (RST, or ICMP port unreachable for UDP);
//   - an address of the three ranges that no [Lab.Host] has: silence, as from a firewall that drops (a blackhole
//     route), so that a dial ends with its own time-out;
//   - any other address: "network is unreachable", at once;
//   - a server that accepts and then sends nothing: [Lab.ServeSilent].
//
// On a kernel without a driver for veth, netkit takes its place if that is built in (Linux 6.7). Without either, inside
// and outside are one namespace with nothing but lo ([Loopback]). Then these parts are still real: the hosts'
// addresses, which belong to local routes instead of an interface; every packet, which passes the whole stack twice by
// way of lo; DNS. Two parts are missing: silence (an address without a host is unreachable at once), and the separation
// of the sockets of inside and outside.
//
// There are two ways in. [Lab.Command] runs a program inside, with the lab's resolver in /etc/resolv.conf and
// everything else (the cgroup tree, /proc, /sys, the files) from the machine; the command netlab is the same for
// scripts. [Lab.Run] and [Lab.DialContext] are for a test that stays in its own process. There a network namespace
// belongs to a thread, so goroutines started within Run are outside of the lab again. In both cases the servers run in
// the process that opened the lab, and their sockets are that process's.
//
// Namespaces have no names, only descriptors refer to them, and no file is written, so nothing can be left behind. When
// the process that opened a lab ends, in whatever way, a watcher (this executable, started again) kills the commands
// that still run inside, and the kernel removes the rest. It does not find a process that moved itself into a third
// network namespace.
//
// Limits: Linux, root. /sys/class/net shows the interfaces of the machine, not those of the lab (it belongs to the
// mount, which is shared on purpose). Abstract Unix sockets belong to the network namespace, so those of the machine
// are not visible inside; sockets with a path, such as Docker's, are. /etc/hosts is the machine's.
package testnet
