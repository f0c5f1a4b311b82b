package probe

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/atomicfile"
	"github.com/netzero-dev/netzero/internal/usercache"
)

// kernelTypes finds out how the kernel lays out its structs, from its BTF. Reading that takes as long as verifying the
// largest program, so the answers are kept in a file of this user. They hold until the next boot.
type kernelTypes struct {
	path    string // of the file; "" if none may be kept
	boot    string // the id of this boot
	answers map[string]typeAnswer
	spec    *btf.Spec // read for the first question that the file does not answer
	err     error     // of reading the BTF
}

// typeAnswer is the size of a struct or the offset of a member, in bytes. Known is false if the kernel has none.
type typeAnswer struct {
	Bytes uint32 `json:"bytes"`
	Known bool   `json:"known"`
}

// typesFile is the content of the file.
type typesFile struct {
	Boot    string                `json:"boot"`    // /proc/sys/kernel/random/boot_id
	Answers map[string]typeAnswer `json:"answers"` // to "task_struct" or "task_struct.mm"
}

// openKernelTypes reads the file, if there is one for this boot and this process may read the BTF too: what is recorded
// does not depend on earlier processes. Without a file all is read from the BTF.
func openKernelTypes() *kernelTypes {
	k := &kernelTypes{answers: make(map[string]typeAnswer)}
	if unix.Access("/sys/kernel/btf/vmlinux", unix.R_OK) != nil {
		return k
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || !usercache.IsInOwn() {
		return k
	}
	dir, err := usercache.Make()
	if err != nil {
		return k
	}
	k.path, k.boot = filepath.Join(dir, usercache.KernelTypes), strings.TrimSpace(string(boot))
	text, err := os.ReadFile(k.path)
	if err != nil {
		return k
	}
	var file typesFile
	if json.Unmarshal(text, &file) == nil && file.Boot == k.boot && file.Answers != nil {
		k.answers = file.Answers
	}
	return k
}

// close writes the file if there are new answers. It returns the error of reading the BTF; all answers are wrong then.
func (k *kernelTypes) close() error {
	if k.err != nil || k.spec == nil || k.path == "" {
		return k.err
	}
	if text, err := json.Marshal(typesFile{k.boot, k.answers}); err == nil {
		_ = atomicfile.Write(k.path, text, nil) // otherwise the next process reads the BTF, too
	}
	return nil
}

// size returns the size of a struct in bytes.
func (k *kernelTypes) size(name string) (uint32, bool) {
	return k.ask(name, func(in *btf.Struct) (uint32, bool) { return in.Size, true }, name)
}

// offset returns the offset in bytes of a nested member of a struct.
func (k *kernelTypes) offset(name string, path ...string) (uint32, bool) {
	return k.ask(name, func(in *btf.Struct) (uint32, bool) { return offsetOf(in, path...) },
		name+"."+strings.Join(path, "."))
}

// ask returns the answer to a question about a struct.
func (k *kernelTypes) ask(name string, read func(*btf.Struct) (uint32, bool), question string) (uint32, bool) {
	if a, ok := k.answers[question]; ok {
		return a.Bytes, a.Known
	}
	if k.spec == nil && k.err == nil {
		k.spec, k.err = btf.LoadKernelSpec()
	}
	if k.err != nil {
		return 0, false
	}
	var a typeAnswer
	var in *btf.Struct
	if k.spec.TypeByName(name, &in) == nil {
		a.Bytes, a.Known = read(in)
	}
	k.answers[question] = a
	return a.Bytes, a.Known
}
