package policy

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// KafkaAnnotation lists what the egress that a policy allows does with the topics of Kafka brokers: "fetch payments,
// produce alpha-telemetry", without the space. In an entry that a person edits, "*" in a topic stands for any
// characters, and "*" alone for every request. It is not for particular brokers. Neither dialect has rules for Kafka,
// but the verdict reads the annotation: a request that none of the policies of a workload lists is denied. If none of
// them has the annotation, every request is allowed.
const KafkaAnnotation = "netzero.dev/kafka"

// kafkaShape matches the entries, but the one for every request.
var kafkaShape = regexp.MustCompile(`^(produce|fetch|create|alter|delete) ([A-Za-z0-9._*-]|%[0-9A-F]{2})+$`)

// kafkaEntry returns the entry for a Kafka request. Bytes that Kafka allows in no topic are percent-encoded.
func kafkaEntry(r flow.Request) string {
	var b strings.Builder
	b.WriteString(r.Method + " ")
	for _, c := range []byte(r.Topic) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("._-", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// checkKafka returns what is wrong with an entry.
func checkKafka(entry string) error {
	if entry == "*" || kafkaShape.MatchString(entry) {
		return nil
	}
	return fmt.Errorf("read %q: %w", entry, errors.New("want produce, fetch, create, alter or delete, and a topic, as in "+
		"produce alpha-telemetry; or * alone for every request"))
}

func matchKafka(entry, request string) bool {
	if !strings.Contains(entry, "*") {
		return entry == request
	}
	return matches("^"+strings.ReplaceAll(regexp.QuoteMeta(entry), `\*`, `.*`)+"$", request)
}

func listsKafka(entries []string, request string) bool {
	return slices.ContainsFunc(entries, func(entry string) bool { return matchKafka(entry, request) })
}

// kafkaIn returns the entries of all policies, and the first of the policies with a list.
func kafkaIn[P metav1.Object](policies []P) (entries []string, first P, annotated bool) {
	for _, p := range policies {
		if _, has := p.GetAnnotations()[KafkaAnnotation]; !has {
			continue
		}
		if !annotated {
			first, annotated = p, true
		}
		entries = append(entries, EntriesOf(p, KafkaAnnotation)...)
	}
	return entries, first, annotated
}

// EvaluateKafka returns the verdict of the lists on a flow that rules allow with the verdict v. The flow has at most
// one request. policies are those that isolate its source for egress.
func EvaluateKafka[P metav1.Object](s Scope, policies []P, f flow.Flow, v Verdict) Verdict {
	if !s.Requests || f.Opaque != "" || len(f.Requests) == 0 || f.Requests[0].Protocol != flow.Kafka ||
		v.Outcome != Allowed || len(policies) == 0 {
		return v
	}
	entries, first, annotated := kafkaIn(policies)
	switch request := kafkaEntry(f.Requests[0]); {
	case !annotated:
		v.Notices = append(slices.Clone(v.Notices), fmt.Sprintf("policy %s has no annotation %s and allows every topic; "+
			"-update adds it, and the entry * keeps it so", policies[0].GetName(), KafkaAnnotation))
	case !listsKafka(entries, request):
		return Verdict{
			Outcome: Denied, Policy: first.GetName(), Rule: -1,
			Reason: fmt.Sprintf("%s is not in the annotation %s, which lists %s", f.Requests[0], KafkaAnnotation,
				cmp.Or(Abbreviate(entries, ", "), "none")),
		}
	}
	return v
}

// KafkaOf returns the entries that outgoing flows need, sorted. unnameable returns why no policy can name an endpoint,
// or "".
func (s Scope) KafkaOf(flows []flow.Flow, unnameable func(Direction, flow.Endpoint) string) []string {
	var all []string
	for _, f := range flows {
		if !s.Requests || f.Opaque != "" || unnameable(Egress, f.Destination) != "" {
			continue
		}
		for _, r := range f.Requests {
			if r.Protocol == flow.Kafka {
				all = append(all, kafkaEntry(r))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// AddKafka adds the entries that no policy lists to the first policy with a list. If none has one, it gives the first
// policy a list, but only if mayList is set: from then on the policies deny every other request.
func AddKafka[P metav1.Object](policies []P, needed []string, mayList bool) {
	if len(policies) == 0 {
		return
	}
	entries, first, annotated := kafkaIn(policies)
	if !annotated {
		if first = policies[0]; !mayList {
			return
		}
	}
	AddEntries(first, KafkaAnnotation, slices.DeleteFunc(slices.Clone(needed), func(entry string) bool {
		return listsKafka(entries, entry)
	}))
}

// unusedKafka returns the entries that match none of the needed ones. A lone asterisk is deliberate and always counts
// as used.
func unusedKafka(p metav1.Object, needed []string) []string {
	return slices.DeleteFunc(EntriesOf(p, KafkaAnnotation), func(entry string) bool {
		return entry == "*" || slices.ContainsFunc(needed, func(request string) bool { return matchKafka(entry, request) })
	})
}

// DescribeUnusedKafka returns one line for each unused entry, as in [Dialect].Unused.
func DescribeUnusedKafka(p metav1.Object, needed []string) []string {
	var lines []string
	for _, entry := range unusedKafka(p, needed) {
		lines = append(lines, fmt.Sprintf("policy %s: Kafka %s", p.GetName(), entry))
	}
	return lines
}

// DropKafka removes the entries that match none of the needed ones from a policy's list, and the list if it becomes
// empty.
func DropKafka(p metav1.Object, needed []string) {
	if unused := unusedKafka(p, needed); len(unused) > 0 {
		DropEntries(p, KafkaAnnotation, func(entry string) bool { return !slices.Contains(unused, entry) })
	}
}

// uniteKafka removes the list of a union if one of its parts has none: that part allowed every request.
func uniteKafka(united *metav1.ObjectMeta, metas []*metav1.ObjectMeta) {
	if slices.ContainsFunc(metas, func(m *metav1.ObjectMeta) bool {
		_, has := m.Annotations[KafkaAnnotation]
		return !has
	}) {
		delete(united.Annotations, KafkaAnnotation)
	}
}
