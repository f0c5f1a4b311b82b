// Package testnet builds a small real internet for one test: two network namespaces joined by a veth pair, servers and
// DNS in the outside one at documentation addresses, the program under test in the inside one.
//
//	inside                             outside
//	192.0.2.2/24        --- veth ---   192.0.2.1/24
//	2001:db8:1::2/64                   2001:db8:1::1/64
//	routes to the three ranges         hosts in 203.0.113.0/24, 198.51.100.0/24, 2001:db8::/32
//
// The packets are real and none leaves the two namespaces: there is no default route and no forwarding. What happens
// at an address is what happens on the internet:
//
//   - a host's port with a server: it answers;
//   - a host's port without one: refused (RST, or ICMP port unreachable for UDP);
//   - an address of the three ranges that no [Lab.Host] has: silence, as from a firewall that drops (a blackhole
//     route), so that a dial ends by its own time-out;
//   - any other address: "network is unreachable", at once;
//   - a server that accepts and then says nothing: [Lab.ServeSilent].
//
// A kernel that has no driver for veth, and may load none, gets netkit in its place, where that is built in (Linux 6.7).
// Where it is not, inside and outside are one namespace with nothing but lo ([Loopback]). Real are then still: the hosts'
// addresses, which are those of no interface but of local routes; every packet, which goes down the stack and up again
// over lo; DNS. Not real: silence (an address that no host has is unreachable at once), and that inside and outside do
// not see each other's sockets.
//
// There are two ways in. [Lab.Command] runs a program inside, with the lab's resolver at /etc/resolv.conf and
// everything else (the cgroup tree, /proc, /sys, the files) as the machine has it; the command netlab is the same for
// scripts. [Lab.Run] and [Lab.DialContext] serve a test that stays in its own process: a network namespace belongs to
// a thread there, so goroutines that are started within Run are outside of the lab again.
// Either way the servers run in the process that opened the lab, and whoever watches that process sees their sockets.
//
// Namespaces have no names and are held by descriptors, and no file is written, so nothing can be left behind: when
// the process that opened a lab ends, in whatever way, a watcher (this executable, started again) kills the commands
// that still run inside, and the kernel takes down the rest. It does not find a process that moved itself into a
// third network namespace.
//
// Limits: Linux, root. /sys/class/net shows the interfaces of the machine, not those of the lab (it belongs to the
// mount, which is shared on purpose). Abstract Unix sockets belong to the network namespace, so those of the machine
// are not seen from inside; sockets with a path, such as Docker's, are. /etc/hosts is the machine's.
package testnet
