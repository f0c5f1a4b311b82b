package ciliumpolicy

import "github.com/netzero-dev/netzero/internal/policy/policytest"

// draw adds edits of Cilium policies to the random values of package policytest.
type draw struct{ policytest.Draw }

func newDraw(seed, n uint64) draw { return draw{policytest.New(seed, n)} }

func pick[T any](r draw, from ...T) T { return policytest.Pick(r.Draw, from...) }
