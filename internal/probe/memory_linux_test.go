package probe

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// mostMemory limits the memory of the maps while nothing is recorded yet, without what they keep for each CPU. The ring
// buffer has 8 MiB of it: 64 tests that connect at once lose events with half of that.
const (
	mostMemory       = 20 << 20
	mostMemoryPerCPU = 32 << 10
)

func TestMemory_IdleMaps(t *testing.T) {
	testenv.RequireRoot(t)
	tree, err := cgroup.FindTree()
	check(t, err)
	p, err := Open(tree.Root, Sizes{}, Handler{Handle: func([]Event) {}})
	check(t, err)
	defer p.Close()
	flows := p.objects.Flows
	if memoryOf(t, flows) >= int(flows.MaxEntries()*(flows.KeySize()+flows.ValueSize())) {
		t.Log("before 6.4, Linux reports what maps may take at most")
		return
	}
	sum := 0
	for _, name := range slices.Sorted(maps.Keys(p.shared)) {
		bytes := memoryOf(t, p.shared[name])
		t.Logf("%-16s %5d KiB", name, bytes>>10)
		sum += bytes
	}
	t.Logf("%-16s %5d KiB", "all", sum>>10)
	if most := mostMemory + runtime.NumCPU()*mostMemoryPerCPU; sum > most {
		t.Errorf("the maps take %d KiB, want at most %d", sum>>10, most>>10)
	}
}

// memoryOf returns the memory of a map in bytes, as the kernel reports it.
func memoryOf(t *testing.T, m *ebpf.Map) (bytes int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", m.FD()))
	check(t, err)
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "memlock: %d", &bytes)
	}
	return bytes
}
