package probe

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/netzero-dev/netzero/bpf"
)

// taskLayout is where a task's executable has its name, from the kernel's BTF. The zero layout, which a kernel without
// BTF has, makes the programs leave the name to user space.
var taskLayout = sync.OnceValues(readTaskLayout)

func readTaskLayout() (bpf.RecordLayout, error) {
	var l bpf.RecordLayout
	kernel, err := btf.LoadKernelSpec()
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, btf.ErrNotFound) {
		return l, nil
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
			return bpf.RecordLayout{}, nil // a kernel that calls it otherwise
		}
		offset, ok := offsetOf(in, at.path...)
		if !ok {
			return bpf.RecordLayout{}, nil
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
