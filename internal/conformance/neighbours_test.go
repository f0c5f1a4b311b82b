package conformance

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// neighbours returns the flows that differ from a flow in a single property, by the name of the property.
func neighbours(f flow.Flow) map[string]flow.Flow {
	all := make(map[string]flow.Flow)
	vary := func(difference string, change func(*flow.Flow)) {
		n := f
		if change(&n); !n.Equal(f) {
			all[difference] = n
		}
	}
	vary("the next port", func(n *flow.Flow) { n.Port++ })
	vary("the port before", func(n *flow.Flow) { n.Port = max(1, n.Port-1) })
	for _, p := range protocols {
		vary("the protocol "+p.String(), func(n *flow.Flow) { n.Protocol = p })
	}
	for at, end := range map[string]func(*flow.Flow) *flow.Endpoint{
		"source":      func(n *flow.Flow) *flow.Endpoint { return &n.Source },
		"destination": func(n *flow.Flow) *flow.Endpoint { return &n.Destination },
	} {
		switch e := *end(&f); e.Kind {
		case flow.Workload:
			vary("another label at the "+at, func(n *flow.Flow) { end(n).Name = "unrelated" })
			vary("another namespace at the "+at, func(n *flow.Flow) { end(n).Namespace = "elsewhere" })
		case flow.Resolver:
			vary("other pods than the resolver", func(n *flow.Flow) {
				*end(n) = flow.Endpoint{Kind: flow.Workload, Name: "kube-dns", Namespace: e.Namespace}
			})
		case flow.External:
			if flow.Public(e.Addr) {
				vary("another name", func(n *flow.Flow) { end(n).Name = "other.example" })
				continue
			}
			fallthrough
		case flow.Address:
			if e.Addr.IsValid() {
				vary("the next address at the "+at, func(n *flow.Flow) { end(n).Addr = e.Addr.Next() })
			}
		}
	}
	return all
}

// permission allows a flow at one end: it names a peer and a port.
type permission struct {
	subject, peer string
	ingress       bool
	port          uint16
	protocol      flow.Protocol
}

// seen holds the recorded flows. It uses nothing of package policy except the scope.
type seen struct {
	scope policy.Scope
	// byName identifies every host by its name, as Cilium does. Otherwise hosts with a private address are identified
	// by that address.
	byName      bool
	permissions map[permission]bool
}

func newSeen(scope policy.Scope, flows []flow.Flow, byName bool) seen {
	s := seen{scope, byName, make(map[permission]bool)}
	for _, f := range flows {
		if !f.Protocol.HasPorts() {
			continue
		}
		if s.isSubject(f.Source) {
			s.permissions[permissionOf(f, false, s.placeOf(f.Destination))] = true
		}
		if s.recordsAllTraffic(f.Destination) {
			s.permissions[permissionOf(f, true, placeOf(f.Source))] = true
		}
	}
	return s
}

func permissionOf(f flow.Flow, ingress bool, peer string) permission {
	subject := f.Source
	if ingress {
		subject = f.Destination
	}
	return permission{placeOf(subject), peer, ingress, f.Port, f.Protocol}
}

// placeOf identifies the peer end of a flow.
func (s seen) placeOf(e flow.Endpoint) string {
	if s.byName && e.Kind == flow.External {
		e.Addr = netip.Addr{}
	}
	return placeOf(e)
}

// placeOf identifies an end of a flow. A public host with a name is identified by the name.
func placeOf(e flow.Endpoint) string {
	switch {
	case e.Kind == flow.Workload:
		return e.Name + "." + e.Namespace
	case e.Kind == flow.Address, e.Kind == flow.External && !flow.Public(e.Addr) && e.Addr.IsValid():
		return e.Addr.Unmap().WithZone("").String()
	}
	return e.Kind.String() + " " + e.Name
}

func (s seen) subject(e flow.Endpoint) (policy.Subject, bool) {
	i := slices.IndexFunc(s.scope.Subjects,
		func(s policy.Subject) bool { return s.Name == e.Name && s.Namespace == e.Namespace })
	if i < 0 || e.Kind != flow.Workload {
		return policy.Subject{}, false
	}
	return s.scope.Subjects[i], true
}

func (s seen) isSubject(e flow.Endpoint) bool { _, is := s.subject(e); return is }

func (s seen) recordsAllTraffic(e flow.Endpoint) bool {
	subject, is := s.subject(e)
	return is && subject.AllTraffic
}

// isServer reports whether a subject received a flow. Then only its recorded callers may call it.
func (s seen) isServer(e flow.Endpoint) bool {
	for p := range s.permissions {
		if p.ingress && p.subject == placeOf(e) {
			return true
		}
	}
	return false
}

// permits reports whether the recorded flows justify a flow. With nameless, it answers for an evaluator without names,
// in which every name on the internet stands for all of it.
func (s seen) permits(f flow.Flow, nameless bool) bool {
	if s.isSubject(f.Source) {
		open := s.permissions[permissionOf(f, false, s.placeOf(f.Destination))]
		addr := f.Destination.Addr
		if nameless && addr.IsValid() && flow.Public(addr) && f.Destination.Kind >= flow.External {
			for p := range s.permissions {
				isName := len(p.peer) > 9 && p.peer[:9] == "external "
				sameAddress := p.peer == addr.Unmap().WithZone("").String()
				open = open || p == permissionOf(f, false, p.peer) && (isName || sameAddress)
			}
		}
		if !open {
			return false
		}
	}
	if !s.recordsAllTraffic(f.Destination) || !s.isServer(f.Destination) {
		return true
	}
	return s.permissions[permissionOf(f, true, placeOf(f.Source))] ||
		s.permissions[permissionOf(f, true, placeOf(flow.Endpoint{Kind: flow.Anyone}))]
}

// agree compares cyclonus and package policy on a flow. They may only differ where package policy differs on purpose: a
// rule for the internet with names allows every address in cyclonus, and a rule with a DNS port stands for the
// cluster's resolver, whichever pods it selects.
func agree(scope policy.Scope, policies []*networkingv1.NetworkPolicy, f flow.Flow) (ours bool, theirs bool,
	v policy.Verdict, same bool) {
	ours, v = allows(scope, policies, f)
	t, has := toCyclonus(scope, f)
	if !has {
		return ours, ours, v, true
	}
	theirs = newCyclonus(policies).allows(cluster{Namespaces: scope.Namespaces}, t)
	isDNS := f.Destination.Kind == flow.Resolver && (f.Port == 53 || f.Port == 5353)
	named := f.Destination.Kind >= flow.External &&
		slices.ContainsFunc(policies, func(p *networkingv1.NetworkPolicy) bool {
			_, has := p.Annotations[policy.NamesAnnotation]
			return has
		})
	return ours, theirs, v, ours == theirs || isDNS && ours || named && theirs
}

var anywhere = netip.MustParseAddr("198.51.100.77")
