package netzerotest

import (
	"time"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// settlement is what a recording comes to, once it is known what its containers were.
type settlement struct {
	flows     []Flow           // sorted; no loopback, nobody else's, nothing of testcontainers itself
	workloads []policy.Subject // who gets a policy
	notices   []string         // what a person should know of the recording, for a report
	printed   []string         // what a person must know, and is printed without -v
	programs  map[program]opening
	changing  []changingPort // flows to ports that another run has not, in the order of flows

	unanswered []string // attempts at this machine where nobody listened, in a line each
}

// opening is what is told of a program: who ran it when it opened its first flow.
type opening struct {
	process flow.Process
	first   time.Duration
}
