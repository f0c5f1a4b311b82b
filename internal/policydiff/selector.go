package policydiff

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
)

// operator is what a requirement demands of a label.
type operator string

const (
	equals    operator = "="
	oneOf     operator = " in " // the values of a list that is too long to expand
	exists    operator = ""
	differs   operator = "!="
	isMissing operator = "!"
)

// requirement is one condition of a selector on a label.
type requirement struct {
	key   string
	is    operator
	value string // of oneOf, the values with commas
}

func (r requirement) String() string {
	switch r.is {
	case isMissing:
		return "!" + r.key
	case oneOf:
		return r.key + " in (" + r.value + ")"
	}
	return r.key + string(r.is) + r.value
}

// implies reports whether a label that meets the requirement meets another one too.
func (r requirement) implies(q requirement) bool {
	switch {
	case r == q:
		return true
	case r.key != q.key:
		return false
	case r.is == equals:
		return q.is == exists || q.is == differs && q.value != r.value || q.is == oneOf && q.lists(r.value)
	case r.is == oneOf:
		return q.is == exists || q.is == differs && !r.lists(q.value)
	}
	return r.is == isMissing && q.is == differs
}

func (r requirement) lists(value string) bool {
	return slices.Contains(strings.Split(r.value, ","), value)
}

// matches reports whether labels meet the requirement.
func (r requirement) matches(labels map[string]string) bool {
	value, has := labels[r.key]
	switch r.is {
	case equals:
		return has && value == r.value
	case oneOf:
		return has && r.lists(value)
	case exists:
		return has
	case differs:
		return !has || value != r.value
	}
	return !has
}

// selector is the conjunction of requirements: sorted, none of them implied by another. Without any it selects
// everything. Selectors that select the same by their form are equal.
type selector []requirement

// maxExpansion is the largest number of selectors that a selector with lists of values becomes.
const maxExpansion = 64

// selectorsOf returns selectors that together select what a selector of Kubernetes does: one for each value of a list
// (In), so that lists are compared value by value. key maps the keys of labels.
func selectorsOf(s *metav1.LabelSelector, key func(string) string) []selector {
	if s == nil {
		return []selector{nil}
	}
	all := []selector{nil}
	require := func(options ...requirement) {
		var next []selector
		for _, one := range all {
			for _, r := range options {
				next = append(next, append(slices.Clone(one), r))
			}
		}
		all = next
	}
	for k, v := range s.MatchLabels {
		require(requirement{key(k), equals, v})
	}
	for _, e := range policy.SortedSelector(*s).MatchExpressions {
		values := slices.Sorted(slices.Values(e.Values))
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			if len(all)*len(values) > maxExpansion {
				require(requirement{key(e.Key), oneOf, strings.Join(slices.Compact(values), ",")})
				continue
			}
			var options []requirement
			for _, v := range values {
				options = append(options, requirement{key(e.Key), equals, v})
			}
			require(options...)
		case metav1.LabelSelectorOpNotIn:
			for _, v := range values {
				require(requirement{key(e.Key), differs, v})
			}
		case metav1.LabelSelectorOpExists:
			require(requirement{key: key(e.Key), is: exists})
		case metav1.LabelSelectorOpDoesNotExist:
			require(requirement{key: key(e.Key), is: isMissing})
		}
	}
	for i := range all {
		all[i] = all[i].reduced()
	}
	return all
}

// reduced returns the selector in its canonical form.
func (s selector) reduced() selector {
	s = slices.Clone(s)
	slices.SortFunc(s, func(a, b requirement) int { return strings.Compare(a.String(), b.String()) })
	s = slices.Compact(s)
	var kept selector
	for i, r := range s {
		implied := false
		for j, other := range s {
			implied = implied || i != j && other.implies(r) && (!r.implies(other) || j < i)
		}
		if !implied {
			kept = append(kept, r)
		}
	}
	return kept
}

// covers reports whether a selector selects everything that another one selects.
func (s selector) covers(narrow selector) bool {
	return !slices.ContainsFunc(s, func(wide requirement) bool {
		return !slices.ContainsFunc(narrow, func(r requirement) bool { return r.implies(wide) })
	})
}

func (s selector) matches(labels map[string]string) bool {
	return !slices.ContainsFunc(s, func(r requirement) bool { return !r.matches(labels) })
}

// labels returns labels that the selector selects, and no others.
func (s selector) labels() map[string]string {
	set := make(map[string]string)
	for _, r := range s {
		switch value := r.value; r.is {
		case oneOf:
			set[r.key], _, _ = strings.Cut(value, ",")
		case equals, exists:
			set[r.key] = value
		}
	}
	return set
}

// String returns the selector as kubectl takes it: "app=db,tier!=front".
func (s selector) String() string {
	var texts []string
	for _, r := range s {
		texts = append(texts, r.String())
	}
	return strings.Join(texts, ",")
}

// nameKeys are the labels by which people call a workload.
var nameKeys = []string{"app", "app.kubernetes.io/name", "k8s-app"}

// name returns what people call the pods that the selector selects: the value of its only label, "pods tier=back" or
// "all pods".
func (s selector) name() string {
	switch {
	case len(s) == 0:
		return "all pods"
	case len(s) == 1 && s[0].is == equals && slices.Contains(nameKeys, s[0].key) && s[0].value != "":
		return s[0].value
	}
	return "pods " + s.String()
}

// ownNamespace is the requirement for the namespace of the policy, where the policy does not name it.
var ownNamespace = requirement{key: "", is: equals}

// inNamespace returns the selector of one namespace. An empty name is the policy's own.
func inNamespace(name string) selector {
	if name == "" {
		return selector{ownNamespace}
	}
	return selector{{policy.NamespaceLabel, equals, name}}
}

// describeNamespaces returns a suffix for pods of these namespaces, seen from a policy of a namespace.
func describeNamespaces(s selector, own string) string {
	switch {
	case len(s) == 0:
		return " in all namespaces"
	case slices.Equal(s, inNamespace(own)):
		return ""
	case len(s) == 1 && s[0].is == equals && s[0].key == policy.NamespaceLabel:
		return " in namespace " + s[0].value
	}
	return " in namespaces " + s.String()
}
