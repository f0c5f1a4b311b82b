package netzerotest

import "github.com/netzero-dev/netzero/internal/policy"

// settlement is what a recording comes to, once it is known what its containers were.
type settlement struct {
	flows     []Flow           // sorted; no loopback, nobody else's, nothing of testcontainers itself
	workloads []policy.Subject // who gets a policy
	notices   []string         // what a person should know of the recording, for a report
}
