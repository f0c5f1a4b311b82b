package probe

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// A second program that opens a known flow is reported once, for each system call that names a destination.
func TestExecutables_EachInitiatorReported(t *testing.T) {
	r := newRig(t, Sizes{})
	layout, err := taskLayout()
	check(t, err)
	const capability = "each executable that opens a flow, also a known flow"
	if layout.Hash == 0 { // without BTF
		testenv.FallsBack(t, capability, "the first executable only")
	} else {
		testenv.Recorded(t, capability)
	}
	binary, err := os.ReadFile("/proc/self/exe")
	check(t, err)
	dir := t.TempDir()
	program := func(name string) (path string) {
		path = filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, binary, 0o755))
		return path
	}
	a, b, other := program("aaaa"), program("bbbb"), program("other/aaaa")
	for _, verb := range []string{"tcp", "udp", "udp-connected"} {
		t.Run(verb, func(t *testing.T) {
			var to netip.AddrPort
			if verb == "tcp" {
				to = listen(t, "tcp4", "127.0.0.1:0")
			} else {
				to = silent(t, "udp4", "127.0.0.1:0")
			}
			r.clear()
			opens := func(path string) {
				t.Helper()
				cmd := child(t, "")
				cmd.Path, cmd.Env = path, append(os.Environ(), "PROBE_TEST_ACTS="+verb+" "+to.String())
				check(t, cmd.Run())
			}
			for _, path := range []string{a, b, a, other, b} {
				opens(path)
			}
			want, counted := []string{"aaaa", "bbbb", "aaaa"}, []uint64{2, 2, 1}
			if layout.Hash == 0 {
				want, counted = []string{""}, []uint64{5}
			}
			events := seen[*FlowEvent](r)
			counts, err := r.Counts()
			check(t, err)
			var names []string
			var times []uint64
			for _, e := range events {
				names, times = append(names, e.Executable), append(times, counts[e.Key])
			}
			if diff := cmp.Diff(want, names); diff != "" {
				t.Errorf("programs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(counted, times); diff != "" {
				t.Errorf("counts of %s (-want +got):\n%s", strings.Join(names, ", "), diff)
			}
		})
	}
}
