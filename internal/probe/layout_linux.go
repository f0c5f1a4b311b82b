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

// layout says where the kernel stores what the programs read from its memory. The offsets of a part are all zero if one
// of them is unknown, as on a kernel without BTF. Then the programs leave that part to user space, or do without it.
type layout struct {
	bpf.RecordTaskLayout
	unnamed      string // why the offsets of executables' names are zero
	sender              // the sender of a packet
	attribution         // the labels of goroutines
	family       bpf.RecordFamilyLayout
	pidNamespace bpf.RecordPidNamespaceLayout
	untracked    string // why family is zero
}

// member is the path of a member of a kernel struct. Kernels have one of several paths.
type member struct {
	offset *uint32
	in     string
	paths  [][]string
}

// taskLayout is the layout of the running kernel, from its BTF.
var taskLayout = sync.OnceValues(readTaskLayout)

func readTaskLayout() (layout, error) {
	kernel := openKernelTypes()
	l := findLayout(kernel)
	err := kernel.close()
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, btf.ErrNotFound) || errors.Is(err, os.ErrPermission) {
		return layout{unnamed: noBTF, attribution: attribution{unattributed: noBTF}, untracked: noBTF}, nil
	}
	if err != nil {
		return layout{}, fmt.Errorf("read the kernel's BTF: %w", err)
	}
	return l, nil
}

// findLayout finds all offsets that the kernel has.
func findLayout(kernel *kernelTypes) (l layout) {
	l.unnamed = findMembers(kernel, []member{
		{&l.Mm, "task_struct", [][]string{{"mm"}}},
		{&l.ExeFile, "mm_struct", [][]string{{"exe_file"}}},
		{&l.Dentry, "file", [][]string{{"f_path", "dentry"}}},
		{&l.Name, "dentry", [][]string{{"d_name", "name"}}},
		{&l.Hash, "dentry", [][]string{{"d_name", "hash_len"}}},
	})
	findMembers(kernel, []member{ // user space walks the tree if they are unknown
		{&l.Cgroups, "task_struct", [][]string{{"cgroups"}}},
		{&l.Cgroup, "css_set", [][]string{{"dfl_cgrp"}}},
		{&l.Node, "cgroup", [][]string{{"kn"}}},
		{&l.NodeName, "kernfs_node", [][]string{{"name"}}},
		{&l.Id, "kernfs_node", [][]string{{"id"}}},
		{&l.Parent, "kernfs_node", [][]string{{"__parent"}, {"parent"}}}, // since 6.15, and before
	})
	findMembers(kernel, []member{ // user space looks for clients of an engine in /proc if they are unknown
		{&l.Arguments, "mm_struct", [][]string{{"arg_start"}}},
		{&l.End, "mm_struct", [][]string{{"arg_end"}}},
	})
	if l.Id != 0 {
		l.sender = findSender(kernel)
	}
	l.attribution = findAttribution(kernel)
	l.family, l.untracked = findFamily(kernel)
	l.pidNamespace = findPIDNamespace(kernel)
	return l
}

// findFamily finds the offsets that relate processes. If one is missing, all are zero.
func findFamily(kernel *kernelTypes) (family bpf.RecordFamilyLayout, missing string) {
	missing = findMembers(kernel, []member{
		{&family.Tgid, "task_struct", [][]string{{"tgid"}}},
		{&family.Parent, "task_struct", [][]string{{"real_parent"}}},
		{&family.Signal, "task_struct", [][]string{{"signal"}}},
		{&family.Live, "signal_struct", [][]string{{"live"}}},
	})
	return family, missing
}

// findPIDNamespace finds the offsets of a task's pid namespace. If one is missing, all are zero.
func findPIDNamespace(kernel *kernelTypes) (pidNamespace bpf.RecordPidNamespaceLayout) {
	missing := findMembers(kernel, []member{
		{&pidNamespace.ThreadPid, "task_struct", [][]string{{"thread_pid"}}},
		{&pidNamespace.Level, "pid", [][]string{{"level"}}},
		{&pidNamespace.Numbers, "pid", [][]string{{"numbers"}}},
		{&pidNamespace.Nr, "upid", [][]string{{"nr"}}},
		{&pidNamespace.Ns, "upid", [][]string{{"ns"}}},
		{&pidNamespace.Inum, "pid_namespace", [][]string{{"ns", "inum"}}},
	})
	size, ok := kernel.size("upid")
	if missing != "" || !ok {
		return bpf.RecordPidNamespaceLayout{}
	}
	pidNamespace.Upid = size
	return pidNamespace
}

const noBTF = "the kernel has no readable BTF (/sys/kernel/btf/vmlinux)"

// findMembers sets the offsets of all members. If one is missing, it returns which one, and sets all to zero.
func findMembers(kernel *kernelTypes, members []member) (missing string) {
	for _, m := range members {
		found := false
		for _, path := range m.paths {
			if offset, ok := kernel.offset(m.in, path...); ok {
				*m.offset, found = offset, true
				break
			}
		}
		if !found {
			missing = "the kernel's BTF has no " + m.in + "." + strings.Join(m.paths[0], ".")
			break
		}
	}
	if missing != "" {
		for _, m := range members {
			*m.offset = 0
		}
	}
	return missing
}

// offsetOf returns the byte offset of a nested member. It looks into anonymous structs and unions.
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

// lockdown returns the lockdown mode of the kernel as the end of a phrase; "" if it is off or cannot be read.
func lockdown() string {
	modes, _ := os.ReadFile("/sys/kernel/security/lockdown") // none integrity [confidentiality]
	_, rest, _ := strings.Cut(string(modes), "[")
	mode, _, ok := strings.Cut(rest, "]")
	if !ok || mode == "none" {
		return ""
	}
	return " (lockdown=" + mode + ")"
}
