package ciliumpolicy

import (
	"cmp"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/urlpath"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// request is what a permission says about requests. The zero value is a connection over which nothing was sent: it
// passes with HTTP rules too.
type request struct {
	every        bool   // every request, because some were not understood, or are not HTTP
	path, method string // regular expressions, as in an HTTP rule
}

func (r request) isHTTP() bool { return r.method != "" }

func (r request) rule() cilium.HTTPRule { return cilium.HTTPRule{Path: r.path, Method: r.method} }

func (r request) compare(s request) int {
	every := func(r request) int {
		if r.every {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(every(r), every(s)), cmp.Compare(r.path, s.path), cmp.Compare(r.method, s.method))
}

// anyQuery matches the rest of a URL. Cilium compares the path together with its query.
const anyQuery = `(\?.*)?`

// requestsOf returns what a flow needs of the rules for requests: at least one element.
func (c Dialect) requestsOf(f flow.Flow) []request {
	if !c.Requests || f.Protocol != flow.TCP || f.Destination.Kind == flow.Resolver {
		return []request{{}}
	}
	if policy.NeedsEveryRequest(f) {
		return []request{{every: true}}
	}
	if len(f.Requests) == 0 {
		return []request{{}}
	}
	var all []request
	for _, r := range f.Requests {
		one := request{path: urlpath.Of(r.Path, c.FoldPaths).Regexp(), method: regexp.QuoteMeta(r.Method)}
		if r.Protocol != flow.GRPC {
			one.path += anyQuery
		}
		if !allowsRequest(one.rule(), r) { // bytes that no expression can match
			return []request{{every: true}}
		}
		all = append(all, one)
	}
	return all
}

// requestRank orders flows by what they need: one request, every request, or nothing but the port.
func (c Dialect) requestRank(f flow.Flow) int {
	switch r := c.requestsOf(f)[0]; {
	case r.isHTTP():
		return 0
	case r.every:
		return 1
	}
	return 2
}

func allowsRequest(rule cilium.HTTPRule, r flow.Request) bool {
	return r.IsHTTP() && rule.Allows(r.Method, r.Host, r.URI())
}

// grouped sorts permissions and makes those for one port agree. If one of them needs every request, the port has no
// HTTP rules, which an entry without them would void. Connections over which nothing was sent need no rule besides.
func grouped(permissions []permission) []permission {
	slices.SortFunc(permissions, permission.compare)
	permissions = slices.Compact(permissions)
	var all []permission
	for len(permissions) > 0 {
		first := permissions[0]
		n := slices.IndexFunc(permissions, func(o permission) bool { return !o.sharesPort(first) })
		if n < 0 {
			n = len(permissions)
		}
		same := permissions[:n]
		permissions = permissions[n:]
		listed := slices.DeleteFunc(slices.Clone(same), func(o permission) bool { return !o.request.isHTTP() })
		switch {
		case first.request.every: // it sorts first
			all = append(all, first)
		case len(listed) > 0:
			all = append(all, listed...)
		default:
			all = append(all, first)
		}
	}
	return all
}

// perRequest returns flows with at most one request each, or none if they were not read.
func (c Dialect) perRequest(flows []flow.Flow) []flow.Flow {
	all := make([]flow.Flow, 0, len(flows))
	for _, f := range flows {
		if !c.Requests {
			f.Requests, f.Opaque = nil, ""
		}
		if len(f.Requests) < 2 { // most flows; without a list for each
			all = append(all, f)
			continue
		}
		all = append(all, f.PerRequest()...)
	}
	return all
}

// evaluated returns the flows and those that they imply as rules see them, each with at most one request.
func (c Dialect) evaluated(flows []flow.Flow) []flow.Flow {
	return c.perRequest(c.allByAddress(c.Required(flows)))
}

// withoutRequests returns flows as if nothing had been sent.
func withoutRequests(flows []flow.Flow) []flow.Flow {
	return policy.MapFlows(flows, func(f flow.Flow) flow.Flow {
		f.Requests, f.Opaque = nil, ""
		return f
	})
}

// needed is [policy.Needed]. A flow from a named caller also needs a rule if the flows from any caller have rules for
// other requests.
func (c Dialect) needed(d policy.Direction, flows []flow.Flow) []flow.Flow {
	if d != policy.Ingress || !c.Requests {
		return policy.Needed(d, flows)
	}
	type call struct {
		to       flow.Endpoint
		protocol flow.Protocol
		port     int
	}
	callOf := func(f flow.Flow) call {
		if f.Protocol.IsICMP() {
			return call{f.Destination.Identity(), f.Protocol, policy.ICMPTypeOf(f)}
		}
		return call{f.Destination.Identity(), f.Protocol, int(f.Port)}
	}
	byAnyone := make(map[call]map[request]bool)
	for _, f := range flows {
		if f.Source.Kind != flow.Anyone || !f.Protocol.HasPorts() && !f.Protocol.IsICMP() {
			continue
		}
		if byAnyone[callOf(f)] == nil {
			byAnyone[callOf(f)] = make(map[request]bool)
		}
		for _, r := range c.requestsOf(f) {
			byAnyone[callOf(f)][r] = true
		}
	}
	isAllowed := func(f flow.Flow) bool {
		open, isOpen := byAnyone[callOf(f)]
		if !isOpen || f.Source.Kind == flow.Anyone {
			return false
		}
		if open[request{every: true}] || len(open) == 1 && open[request{}] {
			return true
		}
		return !slices.ContainsFunc(c.requestsOf(f), func(r request) bool { return r != request{} && !open[r] })
	}
	return slices.DeleteFunc(slices.Clone(flows), isAllowed)
}

// matchRequests compares the requests of a flow with the HTTP rules for a port.
func (v applicable) matchRequests(port portRef, f flow.Flow) policy.RequestMatch {
	switch {
	case port.http == nil || f.Lookup || !v.scope.Requests:
		return policy.RequestMatches
	case f.Opaque != "":
		return policy.RequestsUnknown
	}
	for _, r := range f.Requests {
		isAllowed := false
		for range port.allowing(r) {
			isAllowed = true
			break
		}
		if !isAllowed {
			return policy.OtherRequest
		}
	}
	return policy.RequestMatches
}

// allowRequests allows the requests of permissions at their one port, unless every request is allowed there. An entry
// for several ports is split.
func (r *Rule) allowRequests(permissions []permission) {
	port := permissions[0].policyPort()
	has := func(e cilium.PortRule) bool { return slices.Contains(e.Ports, port) }
	if slices.ContainsFunc(r.Ports, func(e cilium.PortRule) bool { return e.Rules == nil && has(e) }) {
		return
	}
	r.Ports = slices.Clone(r.Ports)
	for len(permissions) > 0 {
		i := slices.IndexFunc(r.Ports, func(e cilium.PortRule) bool { return e.HasHTTP() && has(e) })
		if i < 0 {
			r.insertRequests(cilium.PortRule{
				Ports: []cilium.Port{port}, Rules: &cilium.L7Rules{HTTP: []cilium.HTTPRule{permissions[0].request.rule()}},
			})
			permissions = permissions[1:]
			continue
		}
		entry := r.Ports[i]
		type identity struct{ path, method, host string } // what compareHTTP compares
		known := make(map[identity]bool)
		for _, rule := range entry.Rules.HTTP {
			known[identity{rule.Path, rule.Method, rule.Host}] = true
		}
		var added []cilium.HTTPRule
		for len(permissions) > 0 && (len(added) == 0 || len(entry.Ports) == 1) {
			rule := permissions[0].request.rule()
			permissions = permissions[1:]
			if id := (identity{rule.Path, rule.Method, rule.Host}); !known[id] {
				known[id] = true
				added = append(added, rule)
			}
		}
		if len(added) == 0 {
			return
		}
		ordered := func(rule cilium.HTTPRule) (cilium.HTTPRule, bool) { return rule, true }
		list := policy.InsertAll(entry.Rules.HTTP, added, ordered, compareHTTP)
		of := cilium.PortRule{Ports: []cilium.Port{port}, Rules: &cilium.L7Rules{HTTP: list}}
		if len(entry.Ports) == 1 {
			r.Ports[i] = of
			return
		}
		r.Ports[i].Ports = slices.DeleteFunc(slices.Clone(entry.Ports), func(p cilium.Port) bool { return p == port })
		r.insertRequests(of)
	}
}

func compareHTTP(a, b cilium.HTTPRule) int {
	return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Host, b.Host))
}

// insertRequests inserts an entry with HTTP rules: behind those without, and by its first port among the others.
func (r *Rule) insertRequests(e cilium.PortRule) {
	r.Ports = policy.InsertBefore(r.Ports, e, func(other cilium.PortRule) bool {
		return other.HasHTTP() && comparePorts(other.Ports[0], e.Ports[0]) > 0
	})
}

// shareEntries joins the ports with the same HTTP rules in one entry.
func (r *Rule) shareEntries() {
	var entries []cilium.PortRule
	same := make(map[string][]int) // the entries with HTTP rules, by these
	for _, e := range r.Ports {
		if e.HasHTTP() {
			text := policy.EncodeJSON(e.Rules)
			hasRoom := func(i int) bool { return len(entries[i].Ports)+len(e.Ports) <= cilium.MaxPorts }
			if k := slices.IndexFunc(same[text], hasRoom); k >= 0 {
				i := same[text][k]
				entries[i].Ports = append(entries[i].Ports, e.Ports...)
				continue
			}
			same[text] = append(same[text], len(entries))
		}
		e.Ports = slices.Clone(e.Ports)
		entries = append(entries, e)
	}
	r.Ports = entries
}

// hasRequests reports whether an entry with HTTP rules has exactly this port.
func (r Rule) hasRequests(port cilium.Port) bool {
	return slices.ContainsFunc(r.Ports, func(e cilium.PortRule) bool {
		return e.HasHTTP() && slices.Contains(e.Ports, port)
	})
}

// removePort removes a port from the entries with HTTP rules, or from those without any. It reports whether one had it.
func (r *Rule) removePort(port cilium.Port, http bool) bool {
	removed := false
	var kept []cilium.PortRule
	for _, e := range r.Ports {
		if (http && e.HasHTTP() || !http && e.Rules == nil) && slices.Contains(e.Ports, port) {
			removed = true
			e.Ports = slices.DeleteFunc(slices.Clone(e.Ports), func(p cilium.Port) bool { return p == port })
			if len(e.Ports) == 0 {
				continue
			}
		}
		kept = append(kept, e)
	}
	r.Ports = kept
	return removed
}

// narrow replaces ports without HTTP rules by ports with them, where a recording could have written the rule, and where
// all requests to the port are known.
func (m *merging) narrow() {
	if !m.scope.Requests {
		return
	}
	for _, subject := range m.scope.Subjects {
		for _, p := range m.ownParts(subject.Workload) {
			for _, d := range policy.Directions {
				m.narrowRules(edit{m, p, subject.Workload, d})
			}
		}
	}
}

func (m *merging) narrowRules(e edit) {
	subjects := m.scope.isolatedBy(e.policy, e.direction)
	isPartial := func(s policy.Subject) bool { return !s.AllTraffic }
	if e.direction == policy.Ingress && slices.ContainsFunc(subjects, isPartial) {
		return
	}
	var all []permission
	for _, s := range subjects {
		own := edit{subject: s.Workload}
		for _, o := range m.scope.permissions(s.Workload, e.direction, m.flows.Of(s.Workload, e.direction)) {
			all = append(all, own.normalPermission(o))
		}
	}
	needed := make(map[peerKey][]permission)
	for _, o := range grouped(all) {
		if o.request.isHTTP() {
			needed[o.peer] = append(needed[o.peer], o)
		}
	}
	rules := RulesOf(e.policy, e.direction)
	byPeer := e.rulesByPeer(rules)
	changed := false
	for i := range rules {
		peer, ok := e.permissionOfRule(rules[i])
		if !ok {
			continue
		}
		r := &rules[i]
		own := slices.ContainsFunc(r.Ports, cilium.PortRule.HasHTTP)
		narrowed := make(map[cilium.Port]bool)
		for same := range byPort(needed[e.normalPermission(peer).peer]) {
			port := same[0].policyPort()
			if !narrowed[port] && (listsRequests(rules, byPeer[peer.peer], port) || !r.removePort(port, false)) {
				continue
			}
			narrowed[port], changed = true, true
			r.allowRequests(same)
		}
		if len(narrowed) > 0 && !own {
			r.shareEntries()
		}
	}
	if changed {
		SetRules(e.policy, e.direction, rules)
	}
}

// byPort yields the permissions for each port, of a sorted list.
func byPort(permissions []permission) iter.Seq[[]permission] {
	return func(yield func([]permission) bool) {
		for rest := permissions; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].sharesPort(rest[0]) {
				n++
			}
			if !yield(rest[:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// rulesByPeer returns the indexes of the rules for each peer, as permissionOfRule returns it.
func (e edit) rulesByPeer(rules []Rule) map[peerKey][]int {
	by := make(map[peerKey][]int)
	for i, r := range rules {
		if o, ok := e.permissionOfRule(r); ok {
			by[o.peer] = append(by[o.peer], i)
		}
	}
	return by
}

// listsRequests reports whether any of the rules at some indexes lists requests at exactly a port.
func listsRequests(rules []Rule, indexes []int, port cilium.Port) bool {
	return slices.ContainsFunc(indexes, func(i int) bool { return rules[i].hasRequests(port) })
}

// widen removes the HTTP rules for ports and peers at which every request is needed. The rules for these peers that
// lose all of their ports are removed.
func (e edit) widen(rules []Rule, needed []permission) []Rule {
	for _, o := range needed {
		if !o.request.every {
			continue
		}
		o = e.normalPermission(o)
		for i := len(rules) - 1; i >= 0; i-- {
			peer, ok := e.permissionOfRule(rules[i])
			if ok && e.normalPermission(peer).peer == o.peer && rules[i].removePort(o.policyPort(), true) &&
				len(rules[i].AllowedPorts()) == 0 {
				rules = slices.Delete(rules, i, i+1)
			}
		}
	}
	return rules
}

// foldPaths replaces each path of a policy that a recording could have written, and that a pattern of FoldPaths
// matches, by that pattern.
func (c Dialect) foldPaths(p *cilium.NetworkPolicy) {
	if len(c.FoldPaths) == 0 {
		return
	}
	for _, d := range policy.Directions {
		rules := RulesOf(p, d)
		changed := false
		for i := range rules {
			for j, e := range rules[i].Ports {
				if !e.HasHTTP() {
					continue
				}
				var list []cilium.HTTPRule
				seen := make(map[string]bool) // by JSON
				folded := false
				for _, rule := range e.Rules.HTTP {
					if pattern, query, is := writtenPath(rule); is {
						if wide := c.FoldedPath(pattern); wide != pattern {
							rule.Path, folded = wide.Regexp()+query, true
						}
					}
					if text := policy.EncodeJSON(rule); !seen[text] {
						seen[text] = true
						list = append(list, rule)
					}
				}
				if folded {
					rules[i].Ports[j].Rules, changed = &cilium.L7Rules{HTTP: list}, true
				}
			}
		}
		if changed {
			SetRules(p, d, rules)
		}
	}
}

// writtenPath returns the pattern of an HTTP rule that a recording could have written, and the expression for its
// query. It returns false for other rules.
func writtenPath(r cilium.HTTPRule) (p urlpath.Pattern, query string, ok bool) {
	if method, is := unquote(r.Method); !is || method == "" || r.Host != "" || len(r.Headers)+len(r.HeaderMatches) > 0 {
		return "", "", false
	}
	expr, hasQuery := strings.CutSuffix(r.Path, anyQuery)
	if hasQuery {
		query = anyQuery
	} else if r.Method != "POST" { // of gRPC
		return "", "", false
	}
	p, ok = patternOf(expr)
	return p, query, ok
}

// placeholders are the classes of segments, and the one for any segment, whose name an expression does not keep.
var placeholders = []urlpath.Pattern{"/{digits}", "/{uuid}", "/{ulid}", "/{hex}", "/{date}", "/{any}"}

var (
	eitherCase     = regexp.MustCompile(`\[([A-F])[a-f]\]`)
	eitherSpelling = regexp.MustCompile(`\(\?:((?:%[0-9A-F]{2})+)\|[^)]*\)`)
)

// patternOf returns the pattern whose regular expression this is, or false if there is none.
func patternOf(expr string) (urlpath.Pattern, bool) {
	if expr == urlpath.Pattern("*").Regexp() {
		return "*", true
	}
	var text strings.Builder
	for rest := expr; rest != ""; {
		i := slices.IndexFunc(placeholders, func(p urlpath.Pattern) bool {
			after, is := strings.CutPrefix(rest, p.Regexp())
			return is && (after == "" || after[0] == '/')
		})
		if i >= 0 {
			text.WriteString(string(placeholders[i]))
			rest = strings.TrimPrefix(rest, placeholders[i].Regexp())
			continue
		}
		end := 1 + strings.IndexByte(rest[1:], '/')
		if end == 0 {
			end = len(rest)
		}
		literal := eitherSpelling.ReplaceAllString(eitherCase.ReplaceAllString(rest[:end], "$1"), "$1")
		plain, is := unquote(literal)
		if !is {
			return "", false
		}
		text.WriteString(plain)
		rest = rest[end:]
	}
	p, err := urlpath.Parse(text.String())
	if err != nil || p.Regexp() != expr {
		return "", false
	}
	return p, true
}

// unquote is the inverse of [regexp.QuoteMeta]. It returns false for an expression that matches more than one text.
func unquote(expr string) (string, bool) {
	var text strings.Builder
	for i := 0; i < len(expr); i++ {
		if expr[i] == '\\' && i+1 < len(expr) {
			i++
		}
		text.WriteByte(expr[i])
	}
	return text.String(), regexp.QuoteMeta(text.String()) == expr
}

// DescribeHTTP describes an HTTP rule in a message: "POST /api/v1/charge", "GET /invoices/{digits}", "every request".
// Expressions that no recording writes stay as they are.
func DescribeHTTP(r cilium.HTTPRule) string {
	if r.AllowsAll() {
		return "every request"
	}
	method, isLiteral := unquote(r.Method)
	if !isLiteral {
		method = r.Method
	}
	path := r.Path
	if p, ok := patternOf(strings.TrimSuffix(path, anyQuery)); ok {
		path = string(p)
	}
	text := cmp.Or(method, "any method") + " " + cmp.Or(path, "any path")
	if r.Host != "" {
		text += " at host " + r.Host
	}
	return text
}

func describeRequests(list []cilium.HTTPRule) string {
	var phrases []string
	seen := make(map[string]bool)
	for _, r := range list {
		if text := DescribeHTTP(r); !seen[text] {
			seen[text] = true
			phrases = append(phrases, text)
		}
	}
	return policy.Abbreviate(phrases, ", ")
}
