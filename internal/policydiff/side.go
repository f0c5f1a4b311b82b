package policydiff

import (
	"fmt"
	"maps"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
)

// Origin is the rule that a part of a change comes from.
type Origin struct {
	Policy string `json:"policy"`
	Rule   int    `json:"rule"` // among the policy's rules of one direction, from 0; -1 for an annotation or no rule
}

// atom is one peer of one rule with all ports of that rule.
type atom struct {
	peer  peer
	block block // of a peer with addresses
	ports ports
	from  Origin
}

// key distinguishes atoms, wherever they come from.
func (a atom) key() string { return fmt.Sprintf("%s\x00%v\x00%s", a.peer.key(), a.block, a.ports) }

// side is what the policies of OLD or of NEW say about one subject in one direction.
type side struct {
	selected  bool     // by a policy
	isolating []string // the policies that deny what no rule allows; none means that all traffic is allowed
	allowed   []atom
	denied    []atom          // by rules that take precedence over those that allow
	programs  map[string]bool // listed in annotations
	lists     bool            // there is such an annotation
}

// collector reads policies of one dialect into sides.
type collector struct {
	*side
	direction policy.Direction
	namespace string // of the policies; empty is that to which the file is applied
}

// sideOf returns what the policies of a group say about pods with these labels.
func sideOf(g group, policies []golden.Policy, labels map[string]string, d policy.Direction) side {
	var s side
	c := collector{&s, d, g.namespace}
	for _, p := range policies {
		if g.dialect == golden.Cilium {
			c.addCilium(p.(*golden.CiliumNetworkPolicy), labels)
		} else {
			c.addKubernetes(p, labels)
		}
	}
	return s
}

// isolated reports whether anything is denied by default.
func (s side) isolated() bool { return len(s.isolating) > 0 }

// allow adds what a rule allows.
func (c collector) allow(from Origin, p peer, b block, open ports) {
	if !open.isEmpty() {
		c.allowed = append(c.allowed, atom{p, b, open, from})
	}
}

// addLists adds the annotations of a policy that decide about flows without a rule, and about programs.
func (c collector) addLists(p golden.Policy, isolates bool) {
	annotation := policy.OtherAnnotation
	if c.direction == policy.Ingress {
		annotation = policy.OtherIngressAnnotation
	}
	from := Origin{p.GetName(), -1}
	for _, text := range policy.EntriesOf(p, annotation) {
		c.allow(from, peer{kind: entry, name: text}, block{}, ports{rest: true})
	}
	if c.direction == policy.Ingress {
		return
	}
	for _, n := range policy.ListedNames(p).All {
		c.allow(from, peer{kind: lookup, name: n.Host}, block{}, ports{rest: true})
	}
	if _, has := p.GetAnnotations()[policy.BinariesAnnotation]; has && isolates {
		c.lists = true
		for _, program := range policy.EntriesOf(p, policy.BinariesAnnotation) {
			if c.programs == nil {
				c.programs = make(map[string]bool)
			}
			c.programs[program] = true
		}
	}
}

// programsWithout returns the listed programs that another side does not list, sorted.
func (s side) programsWithout(other side) []string {
	var all []string
	for _, program := range slices.Sorted(maps.Keys(s.programs)) {
		if !other.programs[program] {
			all = append(all, program)
		}
	}
	return all
}
