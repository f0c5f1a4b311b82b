package policy

import "github.com/netzero-dev/netzero/netzerotest/flow"

// Dialect generates, evaluates and updates policies of one kind for a scope. P is a pointer to that kind. The
// packages networkpolicy and ciliumpolicy each hold one dialect; their methods document how the dialects differ. Their
// functions Unite and Validate need no scope.
type Dialect[P any] interface {
	// Generate returns the policies that allow exactly the flows and those that they imply.
	Generate(flows []flow.Flow) []P
	// Required returns the flows, followed by those that they imply, such as DNS queries.
	Required(flows []flow.Flow) []flow.Flow
	// Evaluate returns the verdict of policies on one flow.
	Evaluate(policies []P, f flow.Flow) Verdict
	// Evaluator returns a function that does what Evaluate does, for many flows.
	Evaluator(policies []P) func(flow.Flow) Verdict
	// Reach returns what policies let a subject reach, in the form that the kernel enforces. It allows what Evaluate
	// allows by the egress of the subject. Where only the end of the test shows what a flow is, it may allow more. The
	// error is a [*NotEnforceableError], or wraps an [*enforce.LimitError].
	Reach(policies []P, subject Workload) (Reach, error)
	// Unused returns one line for each rule, or part of a rule, that no flow needed.
	Unused(policies []P, flows []flow.Flow) []string
	// Unlisted returns why policies do not list a program that opened a flow, or "".
	Unlisted(policies []P, f flow.Flow, binary string) string
	// NotIsolated returns one line for each subject that no policy isolates.
	NotIsolated(policies []P, flows []flow.Flow) []string
	// Protects reports whether any subject is isolated for egress.
	Protects(policies []P) bool
	// Foreign returns the policies that select no subject.
	Foreign(policies []P) []P
	// Widened returns the ports that an update opens to any caller although the committed policies name the callers.
	Widened(committed []P, flows []flow.Flow) []Widened
	// Merge returns the committed policies, extended by what the flows need and without what no flow needs.
	Merge(committed []P, flows []flow.Flow) []P
	// Extend returns the committed policies, extended by what the flows need.
	Extend(committed []P, flows []flow.Flow) []P
}
