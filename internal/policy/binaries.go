package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/flow"
)

// BinariesAnnotation holds the programs that were seen to open what the policy allows, by their file names: "curl,psql". In
// an entry that a person edits "*" stands for any characters. It is no rule: Kubernetes does not ask for programs.
const BinariesAnnotation = "netzero.dev/binaries"

// Unlisted says that the policies that isolate a flow's source for egress do not list one of its programs, and which they
// list instead; "" where they do. Where none of them has [BinariesAnnotation] nothing is listed, which counts with
// [Scope].Binaries only.
func (s Scope) Unlisted(policies []*networkingv1.NetworkPolicy, f flow.Flow, binary string) string {
	subject, ok := s.subject(f.Source)
	if !ok {
		return ""
	}
	return s.unlisted(isolatingMetas(policies, subject), binary)
}

// Unlisted is [Scope.Unlisted].
func (c Cilium) Unlisted(policies ciliumPolicies, f flow.Flow, binary string) string {
	subject, ok := c.subject(f.Source)
	if !ok {
		return ""
	}
	return c.unlisted(ciliumIsolatingMetas(policies, subject), binary)
}

func (s Scope) unlisted(metas []*metav1.ObjectMeta, binary string) string {
	entries, annotated := binariesIn(metas)
	switch {
	case len(metas) == 0, !annotated && !s.Binaries, listsBinary(entries, binary):
		return ""
	case !annotated:
		return fmt.Sprintf("policy %s has no annotation %s", metas[0].Name, BinariesAnnotation)
	case len(entries) == 0:
		return fmt.Sprintf("%s is not in the annotation %s of policy %s, which lists none", binary, BinariesAnnotation, metas[0].Name)
	}
	return fmt.Sprintf("%s is not in the annotation %s of policy %s, which lists %s", binary, BinariesAnnotation, metas[0].Name, abbreviate(entries, ", "))
}

// isolatingMetas returns the metadata of the policies that isolate a subject for egress, that of its own name first.
func isolatingMetas(policies []*networkingv1.NetworkPolicy, subject Workload) []*metav1.ObjectMeta {
	var metas []*metav1.ObjectMeta
	for _, p := range policies {
		if passesOver(p, subject, egress) == "" {
			metas = append(metas, &p.ObjectMeta)
		}
	}
	return ownFirst(metas, subject)
}

func ciliumIsolatingMetas(policies []*cilium.NetworkPolicy, subject Workload) []*metav1.ObjectMeta {
	var metas []*metav1.ObjectMeta
	for _, p := range policies {
		if ciliumPassesOver(p, subject, egress) == "" {
			metas = append(metas, &p.ObjectMeta)
		}
	}
	return ownFirst(metas, subject)
}

func ownFirst(metas []*metav1.ObjectMeta, subject Workload) []*metav1.ObjectMeta {
	slices.SortStableFunc(metas, func(a, b *metav1.ObjectMeta) int {
		switch {
		case (a.Name == subject.Name) == (b.Name == subject.Name):
			return 0
		case a.Name == subject.Name:
			return -1
		}
		return 1
	})
	return metas
}

// binariesIn returns all that is listed, and whether anything lists.
func binariesIn(metas []*metav1.ObjectMeta) (entries []string, annotated bool) {
	for _, m := range metas {
		_, has := m.Annotations[BinariesAnnotation]
		annotated = annotated || has
		entries = append(entries, entriesOf(m, BinariesAnnotation)...)
	}
	return entries, annotated
}

// binariesOf returns the programs that opened flows, sorted.
func binariesOf(flows []flow.Flow) []string {
	var all []string
	for _, f := range flows {
		if f.Binaries != "" {
			all = append(all, strings.Split(f.Binaries, ",")...)
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
func unusedBinaries(m *metav1.ObjectMeta, used []string) []string {
	var unused []string
	for _, entry := range entriesOf(m, BinariesAnnotation) {
		if entry != "*" && !slices.ContainsFunc(used, func(binary string) bool { return matchBinary(entry, binary) }) {
			unused = append(unused, entry)
		}
	}
	return unused
}

// describeUnusedBinaries returns a line for each entry that [Scope.Unused] lists.
func (s Scope) describeUnusedBinaries(m *metav1.ObjectMeta, subjects []Subject, flows []flow.Flow) []string {
	if !s.Binaries || len(subjects) == 0 {
		return nil
	}
	var lines []string
	for _, entry := range unusedBinaries(m, binariesOf(s.ofAll(subjects, egress, flows))) {
		lines = append(lines, fmt.Sprintf("policy %s: binary %s", m.Name, entry))
	}
	return lines
}

// addBinaries lists the programs that opened flows and that none of the policies lists, in the first of them, which has a
// list then, be it an empty one.
func (s Scope) addBinaries(metas []*metav1.ObjectMeta, flows []flow.Flow) {
	if !s.Binaries || len(metas) == 0 {
		return
	}
	entries, annotated := binariesIn(metas)
	if !annotated {
		setEntries(metas[0], BinariesAnnotation, nil)
	}
	for _, binary := range binariesOf(flows) {
		if !listsBinary(entries, binary) {
			addEntry(metas[0], BinariesAnnotation, binary)
		}
	}
}

// dropBinaries removes from a policy's list what is for none of the subjects' programs.
func (s Scope) dropBinaries(m *metav1.ObjectMeta, subjects []Subject, flows []flow.Flow) {
	if !s.Binaries || len(subjects) == 0 {
		return
	}
	unused := unusedBinaries(m, binariesOf(s.ofAll(subjects, egress, flows)))
	if len(unused) > 0 {
		setEntries(m, BinariesAnnotation, slices.DeleteFunc(entriesOf(m, BinariesAnnotation), func(entry string) bool { return slices.Contains(unused, entry) }))
	}
}

// uniteBinaries leaves no list in a union of which a part has none: there every program was let pass.
func uniteBinaries(united *metav1.ObjectMeta, metas []*metav1.ObjectMeta) {
	if slices.ContainsFunc(metas, func(m *metav1.ObjectMeta) bool { _, has := m.Annotations[BinariesAnnotation]; return !has }) {
		delete(united.Annotations, BinariesAnnotation)
	}
}
