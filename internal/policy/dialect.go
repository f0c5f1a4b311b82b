package policy

import "github.com/netzero-dev/netzero/netzerotest/flow"

// Dialect generates, evaluates and updates policies of one kind for a scope. P is a pointer to that kind. The packages
// networkpolicy and ciliumpolicy each hold one dialect, and their methods say how the dialects differ.
type Dialect[P any] interface {
	// Generate returns the policies that allow the flows, and those that they imply, and nothing else.
	Generate(flows []flow.Flow) []P
	// Required returns the flows, and behind them those that they imply, such as DNS queries.
	Required(flows []flow.Flow) []flow.Flow
	// Evaluate returns the verdict of policies on one flow.
	Evaluate(policies []P, f flow.Flow) Verdict
	// Evaluator returns a function that does what Evaluate does, for many flows.
	Evaluator(policies []P) func(flow.Flow) Verdict
	// Unused lists the rules, and parts of rules, that no flow needed, in one line each.
	Unused(policies []P, flows []flow.Flow) []string
	// Unlisted says why policies do not list a program that opened a flow, or returns "".
	Unlisted(policies []P, f flow.Flow, binary string) string
	// NotIsolated says which subjects no policy isolates, in one line each.
	NotIsolated(policies []P, flows []flow.Flow) []string
	// Protects reports whether any subject is isolated for egress.
	Protects(policies []P) bool
	// Foreign returns the policies that select no subject.
	Foreign(policies []P) []P
	// Widened lists the ports at which an update lets anyone call where the committed policies name callers.
	Widened(committed []P, flows []flow.Flow) []Widened
	// Merge returns the committed policies, with what the flows need and without what they do not.
	Merge(committed []P, flows []flow.Flow) []P
	// Extend returns the committed policies with what the flows need.
	Extend(committed []P, flows []flow.Flow) []P
	// Unite returns the union of sets of policies.
	Unite(sets ...[]P) ([]P, error)
	// Validate returns an error that names the policy and each field that is not valid.
	Validate(p P) error
}
