package dns

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the property tests; 0 draws one")

// newRandom returns a random source and the seed that repeats it: go test -run <test> -args -seed=<seed>.
func newRandom(t *testing.T) (*rand.Rand, uint64) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed)), seed
}
