package policy

import (
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Drawing is a Draw of package policytest. That package imports this one, so the tests within this one cannot import it:
// the external test package hands it over, in drawing_test.go.
type Drawing interface {
	Workload() Workload
	Flows() []flow.Flow
	Endpoint() flow.Endpoint
	Scope() Scope
	FlowsIn(Scope) []flow.Flow
	FlowIn(Scope) flow.Flow
	Lookup(source flow.Endpoint) flow.Flow
	IntN(n int) int
	Shuffle(n int, swap func(i, j int))
}

// NewDrawing and TestSeed are functions of package policytest.
var (
	NewDrawing func(seed, n uint64) Drawing
	TestSeed   func(testing.TB) uint64
)

// draw adds edits of policies to what package policytest draws.
type draw struct{ Drawing }

func newDraw(seed, n uint64) draw { return draw{NewDrawing(seed, n)} }

func pick[T any](r draw, from ...T) T { return from[r.IntN(len(from))] }
