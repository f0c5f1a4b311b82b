package probe

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// classify wraps an error of the kernel in a *PermissionError or [ErrNotSupported], if it amounts to that.
func classify(err error) error {
	rights, readErr := ReadRights()
	if readErr != nil {
		rights = Rights{Effective: ^uint64(0)} // unknown: assume none is missing
	}
	return rights.classify(err)
}

func (r Rights) classify(err error) error {
	missing := missingOf(Capabilities(), r.Effective)
	switch {
	case errors.Is(err, os.ErrPermission),
		// Without a capability, the verifier rejects the helpers that need it.
		errors.Is(err, unix.EINVAL) && len(missing) > 0:
		return &PermissionError{r.UserNamespace, missing, len(missing) == 0 && r.Filtered && errors.Is(err, unix.EPERM), err}
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, link.ErrNotSupported):
		return fmt.Errorf("%w: %w", ErrNotSupported, err)
	}
	return err
}

// Capability is one of capabilities(7).
type Capability struct {
	Number uintptr
	Name   string
	anyOf  uint64 // bit set of capabilities, each of which suffices
}

// Capabilities returns the smallest set that loads and attaches the programs on the running kernel: CAP_BPF,
// CAP_NET_ADMIN and CAP_PERFMON. Before Linux 5.11, maps count against the limit for locked memory, so CAP_SYS_RESOURCE
// is needed too. CAP_SYS_ADMIN implies CAP_BPF and CAP_PERFMON. Since Linux 6.9 it also implies CAP_NET_ADMIN for
// programs on packets.
func Capabilities() []Capability {
	release, err := Release()
	v, ok := parseRelease(release)
	return capabilitiesOf(v, err == nil && ok)
}

func capabilitiesOf(v Version, known bool) []Capability {
	const admin = 1 << unix.CAP_SYS_ADMIN
	network := Capability{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", 1 << unix.CAP_NET_ADMIN}
	if !known || !v.Less(Version{6, 9}) {
		network.anyOf |= admin
	}
	set := []Capability{
		{unix.CAP_BPF, "CAP_BPF", 1<<unix.CAP_BPF | admin},
		network,
		{unix.CAP_PERFMON, "CAP_PERFMON", 1<<unix.CAP_PERFMON | admin},
	}
	if known && v.Less(Version{5, 11}) {
		set = append(set, Capability{unix.CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", 1 << unix.CAP_SYS_RESOURCE})
	}
	return set
}

func missingOf(needed []Capability, held uint64) []string {
	var missing []string
	for _, c := range needed {
		if held&c.anyOf == 0 {
			missing = append(missing, c.Name)
		}
	}
	return missing
}
