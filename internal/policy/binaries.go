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

// BinariesAnnotation holds the programs that were seen to open what the policy allows, by their file names: "curl,psql". In
// an entry that a person edits "*" stands for any characters. It is no rule: Kubernetes does not ask for programs.
const BinariesAnnotation = "netzero.dev/binaries"

// Unlisted says why policies do not list a program, or returns "". required counts policies without a list.
func Unlisted[P metav1.Object](policies []P, binary string, required bool) string {
	entries, annotated := binariesIn(policies)
	switch {
	case len(policies) == 0, !annotated && !required, listsBinary(entries, binary):
		return ""
	case !annotated:
		return fmt.Sprintf("policy %s has no annotation %s", policies[0].GetName(), BinariesAnnotation)
	}
	return fmt.Sprintf("%s is not in the annotation %s of policy %s, which lists %s", binary, BinariesAnnotation, policies[0].GetName(),
		cmp.Or(Abbreviate(entries, ", "), "none"))
}

// IsolatingEgress returns the policies that isolate a subject for egress, that of its own name first.
func IsolatingEgress[P metav1.Object](policies []P, subject Workload, passesOver func(P, Workload, Direction) string) []P {
	var isolating []P
	for _, p := range policies {
		if passesOver(p, subject, Egress) == "" {
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

// binariesIn returns all that is listed, and whether anything lists.
func binariesIn[P metav1.Object](policies []P) (entries []string, annotated bool) {
	for _, p := range policies {
		_, has := p.GetAnnotations()[BinariesAnnotation]
		annotated = annotated || has
		entries = append(entries, EntriesOf(p, BinariesAnnotation)...)
	}
	return entries, annotated
}

// BinariesOf returns the programs that opened flows which a policy can allow, sorted. unnamed says why no policy can
// name an endpoint, or returns "".
func BinariesOf(flows []flow.Flow, unnamed func(Direction, flow.Endpoint) string) []string {
	var all []string
	for _, f := range flows {
		if len(f.Binaries) > 0 && (f.Lookup || unnamed(Egress, f.Destination) == "") {
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

// unusedBinaries returns the entries that are for none of the programs. A lone asterisk is a choice, and always used.
func unusedBinaries(p metav1.Object, used []string) []string {
	var unused []string
	for _, entry := range EntriesOf(p, BinariesAnnotation) {
		if entry != "*" && !slices.ContainsFunc(used, func(binary string) bool { return matchBinary(entry, binary) }) {
			unused = append(unused, entry)
		}
	}
	return unused
}

// DescribeUnusedBinaries returns a line for each entry that [Scope.Unused] lists.
func DescribeUnusedBinaries(p metav1.Object, used []string) []string {
	var lines []string
	for _, entry := range unusedBinaries(p, used) {
		lines = append(lines, fmt.Sprintf("policy %s: binary %s", p.GetName(), entry))
	}
	return lines
}

// AddBinaries lists the programs that none of the policies lists, in the first of them, which has a list then, be it an
// empty one.
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

// DropBinaries removes from a policy's list what is for none of the programs.
func DropBinaries(p metav1.Object, used []string) {
	if unused := unusedBinaries(p, used); len(unused) > 0 {
		SetEntries(p, BinariesAnnotation, slices.DeleteFunc(EntriesOf(p, BinariesAnnotation), func(entry string) bool { return slices.Contains(unused, entry) }))
	}
}

// uniteBinaries leaves no list in a union of which a part has none: there every program was let pass.
func uniteBinaries(united *metav1.ObjectMeta, metas []*metav1.ObjectMeta) {
	if slices.ContainsFunc(metas, func(m *metav1.ObjectMeta) bool { _, has := m.Annotations[BinariesAnnotation]; return !has }) {
		delete(united.Annotations, BinariesAnnotation)
	}
}
