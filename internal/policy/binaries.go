package policy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// BinariesAnnotation lists the programs that opened the flows which the policy allows, by their file names:
// "curl,psql". In an entry that a person edits, "*" stands for any characters. It is not a rule: Kubernetes does not
// check programs.
const BinariesAnnotation = "netzero.dev/binaries"

// Unlisted returns why policies do not list a program, or "". If required is set, a missing list is a reason too.
func Unlisted[P metav1.Object](policies []P, binary string, required bool) string {
	entries, annotated := binariesIn(policies)
	switch {
	case len(policies) == 0, !annotated && !required, listsBinary(entries, binary):
		return ""
	case !annotated:
		return fmt.Sprintf("policy %s has no annotation %s", policies[0].GetName(), BinariesAnnotation)
	}
	return fmt.Sprintf("%s is not in the annotation %s of policy %s, which lists %s",
		binary, BinariesAnnotation, policies[0].GetName(),
		cmp.Or(Abbreviate(entries, ", "), "none"))
}

// IsolatingEgress returns the policies that isolate a subject for egress, the one with its own name first.
func IsolatingEgress[P metav1.Object](
	policies []P, subject Workload, doesNotIsolate func(P, Workload, Direction) string,
) []P {
	var isolating []P
	for _, p := range policies {
		if doesNotIsolate(p, subject, Egress) == "" {
			isolating = append(isolating, p)
		}
	}
	slices.SortStableFunc(isolating, func(a, b P) int {
		switch {
		case (a.GetName() == subject.Name) == (b.GetName() == subject.Name):
			return 0
		case a.GetName() == subject.Name:
			return -1
		}
		return 1
	})
	return isolating
}

// binariesIn returns all listed entries, and whether any policy has a list.
func binariesIn[P metav1.Object](policies []P) (entries []string, annotated bool) {
	for _, p := range policies {
		_, has := p.GetAnnotations()[BinariesAnnotation]
		annotated = annotated || has
		entries = append(entries, EntriesOf(p, BinariesAnnotation)...)
	}
	return entries, annotated
}

// BinariesOf returns the programs that opened flows which a policy can allow, sorted. unnameable returns why no policy
// can name an endpoint, or "".
func BinariesOf(flows []flow.Flow, unnameable func(Direction, flow.Endpoint) string) []string {
	var all []string
	for _, f := range flows {
		if len(f.Binaries) > 0 && (f.Lookup || unnameable(Egress, f.Destination) == "") {
			all = append(all, f.Binaries...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func listsBinary(entries []string, binary string) bool {
	return slices.ContainsFunc(entries, func(entry string) bool { return matchBinary(entry, binary) })
}

func matchBinary(entry, binary string) bool {
	if !strings.Contains(entry, "*") {
		return entry == binary
	}
	matched, err := regexp.MatchString("^"+strings.ReplaceAll(regexp.QuoteMeta(entry), `\*`, `.*`)+"$", binary)
	return err == nil && matched
}

// unusedBinaries returns the entries that match none of the programs. A lone asterisk is deliberate and always counts
// as used.
func unusedBinaries(p metav1.Object, used []string) []string {
	var unused []string
	for _, entry := range EntriesOf(p, BinariesAnnotation) {
		if entry != "*" && !slices.ContainsFunc(used, func(binary string) bool { return matchBinary(entry, binary) }) {
			unused = append(unused, entry)
		}
	}
	return unused
}

// DescribeUnusedBinaries returns one line for each unused entry, as in [Dialect].Unused.
func DescribeUnusedBinaries(p metav1.Object, used []string) []string {
	var lines []string
	for _, entry := range unusedBinaries(p, used) {
		lines = append(lines, fmt.Sprintf("policy %s: binary %s", p.GetName(), entry))
	}
	return lines
}

// AddBinaries adds the programs that no policy lists to the first policy. That policy then has a list, even if it is
// empty.
func AddBinaries[P metav1.Object](policies []P, binaries []string) {
	if len(policies) == 0 {
		return
	}
	entries, annotated := binariesIn(policies)
	if !annotated {
		SetEntries(policies[0], BinariesAnnotation, nil)
	}
	for _, binary := range binaries {
		if !listsBinary(entries, binary) {
			AddEntry(policies[0], BinariesAnnotation, binary)
		}
	}
}

// DropBinaries removes the entries that match none of the programs from a policy's list.
func DropBinaries(p metav1.Object, used []string) {
	if unused := unusedBinaries(p, used); len(unused) > 0 {
		SetEntries(p, BinariesAnnotation, slices.DeleteFunc(EntriesOf(p, BinariesAnnotation), func(entry string) bool {
			return slices.Contains(unused, entry)
		}))
	}
}

// uniteBinaries removes the list of a union if one of its parts has none: that part allowed every program.
func uniteBinaries(united *metav1.ObjectMeta, metas []*metav1.ObjectMeta) {
	if slices.ContainsFunc(metas, func(m *metav1.ObjectMeta) bool {
		_, has := m.Annotations[BinariesAnnotation]
		return !has
	}) {
		delete(united.Annotations, BinariesAnnotation)
	}
}
