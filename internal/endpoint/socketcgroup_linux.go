package endpoint

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// From the kernel's linux/inet_diag.h and net/tcp_states.h.
const (
	diagRequestSize = 56
	diagMessageSize = 72
	diagInode       = 68 // where a message has the inode
	diagCgroup      = 21 // INET_DIAG_CGROUP_ID
	stateListens    = 10 // TCP_LISTEN
)

// cgroupOf returns the ID of the cgroup in which one of some listening sockets was made, according to sock_diag(7),
// which every user may query; 0 if no socket is in the network namespace of this process, or if the kernel does not
// know.
func cgroupOf(protocol flow.Protocol, inodes []uint64) (id uint64) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		request := make([]byte, diagRequestSize)
		request[0], request[1] = family, byte(protocol)
		states := ^uint32(0)
		if protocol == flow.TCP {
			states = 1 << stateListens
		}
		binary.NativeEndian.PutUint32(request[4:], states)
		_ = dump(unix.NETLINK_SOCK_DIAG, unix.SOCK_DIAG_BY_FAMILY, request, func() {}, func(message []byte) {
			if len(message) < diagMessageSize ||
				!slices.Contains(inodes, uint64(binary.NativeEndian.Uint32(message[diagInode:]))) {
				return
			}
			eachAttribute(message, diagMessageSize, func(kind uint16, value []byte) {
				if kind == diagCgroup && len(value) >= 8 && id == 0 {
					id = binary.NativeEndian.Uint64(value)
				}
			})
		})
	}
	return id
}
