package repo_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

// BenchmarkRecord is what a test pays for its recording, from Record to the verdict. The first of a process loads the
// programs. Those that follow it, and those that run at the same time, do not.
func BenchmarkRecord(b *testing.B) {
	testenv.RequireRoot(b)
	policy := filepath.Join(b.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(denyAll), 0o644); err != nil {
		b.Fatal(err)
	}
	record := func(name, golden string) *span {
		s := &span{TB: b, name: name}
		netzerotest.Record(s, netzerotest.Workload("bench"), netzerotest.Golden(golden))
		return s
	}
	b.Run("alone", func(b *testing.B) {
		const flows = 65536
		for i := 0; b.Loop(); i++ {
			b.Setenv("NETZERO_MAX_FLOWS", strconv.Itoa(flows+i%2)) // no recording can use what the last one left
			record("alone", policy).end()
		}
	})
	b.Run("following", func(b *testing.B) {
		record("following", policy).end()
		for b.Loop() {
			record("following", policy).end()
		}
	})
	b.Run("joining", func(b *testing.B) {
		outer := record("joining", policy)
		defer outer.end()
		inner := filepath.Join(b.TempDir(), "inner.yaml")
		if err := os.Symlink(policy, inner); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			record("joining/inner", inner).end()
		}
	})
}

const denyAll = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: bench
spec:
  podSelector:
    matchLabels:
      app: bench
  policyTypes:
  - Egress
`

// span is a test that ends when it is told to.
type span struct {
	testing.TB
	name     string
	cleanups []func()
}

func (s *span) Name() string     { return s.name }
func (s *span) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *span) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}
