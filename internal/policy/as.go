package policy

import "github.com/netzero-dev/netzero/netzerotest/flow"

// As returns a dialect for lists of I, an interface that P implements. Code that is the same for all dialects needs no
// type parameter then. Its methods panic on policies of another type than P.
func As[I, P any](d Dialect[P]) Dialect[I] { return adapter[I, P]{d} }

// adapter converts lists of policies for a dialect.
type adapter[I, P any] struct{ dialect Dialect[P] }

func convert[To, From any](policies []From) []To {
	var converted []To
	for _, p := range policies {
		converted = append(converted, any(p).(To))
	}
	return converted
}

func (a adapter[I, P]) Generate(flows []flow.Flow) []I { return convert[I](a.dialect.Generate(flows)) }

func (a adapter[I, P]) Required(flows []flow.Flow) []flow.Flow { return a.dialect.Required(flows) }

func (a adapter[I, P]) Evaluate(policies []I, f flow.Flow) Verdict {
	return a.dialect.Evaluate(convert[P](policies), f)
}

func (a adapter[I, P]) Evaluator(policies []I) func(flow.Flow) Verdict {
	return a.dialect.Evaluator(convert[P](policies))
}

func (a adapter[I, P]) Reach(policies []I, subject Workload) (Reach, error) {
	return a.dialect.Reach(convert[P](policies), subject)
}

func (a adapter[I, P]) Unused(policies []I, flows []flow.Flow) []string {
	return a.dialect.Unused(convert[P](policies), flows)
}

func (a adapter[I, P]) Unlisted(policies []I, f flow.Flow, binary string) string {
	return a.dialect.Unlisted(convert[P](policies), f, binary)
}

func (a adapter[I, P]) NotIsolated(policies []I, flows []flow.Flow) []string {
	return a.dialect.NotIsolated(convert[P](policies), flows)
}

func (a adapter[I, P]) Protects(policies []I) bool { return a.dialect.Protects(convert[P](policies)) }

func (a adapter[I, P]) Foreign(policies []I) []I {
	return convert[I](a.dialect.Foreign(convert[P](policies)))
}

func (a adapter[I, P]) Widened(committed []I, flows []flow.Flow) []Widened {
	return a.dialect.Widened(convert[P](committed), flows)
}

func (a adapter[I, P]) Merge(committed []I, flows []flow.Flow) []I {
	return convert[I](a.dialect.Merge(convert[P](committed), flows))
}

func (a adapter[I, P]) Extend(committed []I, flows []flow.Flow) []I {
	return convert[I](a.dialect.Extend(convert[P](committed), flows))
}
