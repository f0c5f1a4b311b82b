package policy_test

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
)

func init() {
	policy.NewDrawing = func(seed, n uint64) policy.Drawing { return policytest.New(seed, n) }
	policy.TestSeed = policytest.Seed
}
