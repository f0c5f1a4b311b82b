package setup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/probe"
)

// capabilityAttribute is the extended attribute that holds a file's capabilities.
const capabilityAttribute = "security.capability"

// The format of struct vfs_cap_data in linux/capability.h: the revision with its flag, and then the permitted and the
// inheritable set, 32 bits of each at a time.
const (
	revisionMask  = 0xff000000
	revision2     = 0x02000000
	effectiveFlag = 0x000001
	size2         = 20
)

// needed returns the capabilities of the helper: those that the command keeps, and CAP_DAC_OVERRIDE, with which the
// helper makes a cgroup below one that belongs to root.
func needed() uint64 {
	set := uint64(1) << unix.CAP_DAC_OVERRIDE
	for _, c := range probe.Capabilities() {
		set |= 1 << c.Number
	}
	return set
}

// setCapabilities gives an open file the capabilities, permitted and effective, and no other.
func setCapabilities(fd int, set uint64) error {
	value := make([]byte, 0, size2)
	for _, word := range []uint32{revision2 | effectiveFlag, uint32(set), 0, uint32(set >> 32), 0} {
		value = binary.LittleEndian.AppendUint32(value, word)
	}
	err := unix.Fsetxattr(fd, capabilityAttribute, value, 0)
	switch {
	case errors.Is(err, unix.ENOTSUP):
		return errors.New("the file system has no extended attributes, and so no file capabilities")
	case errors.Is(err, unix.EPERM):
		return errors.New("this root may not set file capabilities: it lacks CAP_SETFCAP, as in a container")
	case err != nil:
		return fmt.Errorf("set file capabilities: %w", err)
	}
	got, err := capabilities(func(into []byte) (int, error) { return unix.Fgetxattr(fd, capabilityAttribute, into) })
	if err != nil {
		return err
	}
	if got != set {
		return fmt.Errorf("the file system keeps the capabilities %#x instead of %#x", got, set)
	}
	return nil
}

// capabilitiesOf returns the effective capabilities of a file.
func capabilitiesOf(path string) (uint64, error) {
	return capabilities(func(into []byte) (int, error) { return unix.Lgetxattr(path, capabilityAttribute, into) })
}

// capabilities reads and decodes a file's capabilities. It returns none if they are not effective, or if they are
// those of a user namespace.
func capabilities(read func([]byte) (int, error)) (uint64, error) {
	value := make([]byte, 64)
	n, err := read(value)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read file capabilities: %w", err)
	case n < size2:
		return 0, fmt.Errorf("read file capabilities: %d bytes", n)
	}
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(value[4*i:])) }
	if head := word(0); head&revisionMask != revision2 || head&effectiveFlag == 0 {
		return 0, nil
	}
	return word(1) | word(3)<<32, nil
}

// names returns the names of capabilities, as the kernel's documentation writes them.
func names(set uint64) string {
	known := []probe.Capability{{Number: unix.CAP_DAC_OVERRIDE, Name: "CAP_DAC_OVERRIDE"}}
	var all []string
	for _, c := range append(probe.Capabilities(), known...) {
		if set&(1<<c.Number) != 0 {
			all = append(all, c.Name)
		}
	}
	return strings.Join(all, ", ")
}
