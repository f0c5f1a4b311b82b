package probe

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/netzero-dev/netzero/bpf"
)

// layout is where a task's executable has its name. The zero one, which a kernel without BTF has, makes the programs leave
// the name to user space.
type layout struct {
	bpf.RecordLayout
	unnamed string // why it is zero
}

// taskLayout is the running kernel's, from its BTF.
var taskLayout = sync.OnceValues(readTaskLayout)

func readTaskLayout() (l layout, err error) {
	kernel, err := btf.LoadKernelSpec()
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, btf.ErrNotFound) || errors.Is(err, os.ErrPermission) {
		return layout{unnamed: "the kernel has no BTF that can be read (/sys/kernel/btf/vmlinux)"}, nil
	}
	if err != nil {
		return l, fmt.Errorf("read the kernel's BTF: %w", err)
	}
	for _, at := range []struct {
		offset *uint32
		in     string
		path   []string
	}{
		{&l.Mm, "task_struct", []string{"mm"}},
		{&l.ExeFile, "mm_struct", []string{"exe_file"}},
		{&l.Dentry, "file", []string{"f_path", "dentry"}},
		{&l.Name, "dentry", []string{"d_name", "name"}},
	} {
		var in *btf.Struct
		if err := kernel.TypeByName(at.in, &in); err != nil {
			return layout{unnamed: "the kernel's BTF has no " + at.in}, nil
		}
		offset, ok := offsetOf(in, at.path...)
		if !ok {
			return layout{unnamed: "the kernel's BTF has no " + at.in + "." + strings.Join(at.path, ".")}, nil
		}
		*at.offset = offset
	}
	return l, nil
}

// offsetOf returns the byte offset of a member of a member, looking into anonymous structs and unions.
func offsetOf(in btf.Type, path ...string) (uint32, bool) {
	if len(path) == 0 {
		return 0, true
	}
	var members []btf.Member
	switch in := btf.UnderlyingType(in).(type) {
	case *btf.Struct:
		members = in.Members
	case *btf.Union:
		members = in.Members
	}
	for _, m := range members {
		rest := path
		switch m.Name {
		case path[0]:
			rest = path[1:]
		case "":
		default:
			continue
		}
		if offset, ok := offsetOf(m.Type, rest...); ok {
			return m.Offset.Bytes() + offset, true
		}
	}
	return 0, false
}

// lockdown says in what mode the kernel is locked down, for the end of a phrase, where that can be read.
func lockdown() string {
	modes, _ := os.ReadFile("/sys/kernel/security/lockdown") // none integrity [confidentiality]
	_, rest, _ := strings.Cut(string(modes), "[")
	mode, _, ok := strings.Cut(rest, "]")
	if !ok || mode == "none" {
		return ""
	}
	return " (lockdown=" + mode + ")"
}
