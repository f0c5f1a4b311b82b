package policy

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/urlpath"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// RequestsAnnotation lists the HTTP and gRPC requests that a policy's egress allows: "billing:8080 GET /healthz,
// billing:8080 POST /api/v1/charge", without the space. Kubernetes ignores it, but the verdict reads it.
//
// An entry is a peer, its port, a method and a path. The peer is a workload, a DNS name or an address, as in
// [OtherAnnotation]; an IPv6 address is in brackets. The path is a [urlpath.Pattern]. In an entry that a person edits,
// the method may be "*", and "billing:8080 *" allows every request. A peer and port with an entry allows only the
// requests of its entries. A peer and port without an entry allows every request.
const RequestsAnnotation = "netzero.dev/requests"

// allRequests stands for method and path in an entry that allows every request.
const allRequests = "*"

// methodShape matches the methods of RFC 9110.
var methodShape = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// requestTarget is the peer and the ports of an entry.
type requestTarget struct {
	peer        string // an address without brackets
	first, last uint16 // the ports, inclusive
}

// String returns the target as an annotation lists it: "billing:8080", "[2001:db8::7]:80", "ftp:30000-30009".
func (t requestTarget) String() string {
	peer, ports := t.peer, strconv.Itoa(int(t.first))
	if strings.Contains(peer, ":") {
		peer = "[" + peer + "]"
	}
	if t.last != t.first {
		ports += "-" + strconv.Itoa(int(t.last))
	}
	return peer + ":" + ports
}

// allowedRequest is one entry of [RequestsAnnotation].
type allowedRequest struct {
	requestTarget
	method string // "*" for any; empty in an entry that allows every request
	path   urlpath.Pattern
}

// String returns the entry as an annotation lists it.
func (r allowedRequest) String() string { return r.requestTarget.String() + " " + r.request() }

// request returns the method and the path.
func (r allowedRequest) request() string {
	if r.allowsAll() {
		return allRequests
	}
	return r.method + " " + string(r.path)
}

func (r allowedRequest) allowsAll() bool { return r.method == "" }

// matches reports whether an entry for the peer and port of a request allows it.
func (r allowedRequest) matches(request flow.Request) bool {
	return r.allowsAll() || request.IsHTTP() && (r.method == "*" || r.method == request.Method) &&
		r.path.Matches(request.Path)
}

// parseRequest parses one entry. It accepts only the form that its String method writes.
func parseRequest(entry string) (allowedRequest, error) {
	target, rest, _ := strings.Cut(entry, " ")
	method, path, hasPath := strings.Cut(rest, " ")
	i := strings.LastIndexByte(target, ':')
	if i < 0 || rest == "" || !hasPath && rest != allRequests {
		return allowedRequest{}, fmt.Errorf("read %q: want a peer with its port, a method and a path, as in "+
			"billing:8080 POST /api/v1/charge, or billing:8080 * for every request", entry)
	}
	peer, ports := target[:i], target[i+1:]
	first, last, isRange := strings.Cut(ports, "-")
	from, err := strconv.ParseUint(first, 10, 16)
	to := from
	if isRange && err == nil {
		to, err = strconv.ParseUint(last, 10, 16)
	}
	if err != nil || from == 0 || isRange && to <= from {
		return allowedRequest{}, fmt.Errorf("read %q: want a port from 1 to 65535, or a range of them, after the peer, "+
			"as in billing:8080 POST /api/v1/charge", entry)
	}
	r := allowedRequest{requestTarget: requestTarget{strings.Trim(peer, "[]"), uint16(from), uint16(to)}}
	addr, err := netip.ParseAddr(r.peer)
	switch {
	case err == nil:
		r.peer = addr.Unmap().WithZone("").String()
	case r.peer == "*":
		return allowedRequest{}, fmt.Errorf("read %q: an asterisk alone is every peer: name each of them", entry)
	case !isHostPattern(r.peer) && !isLongWorkload(r.peer):
		return allowedRequest{}, fmt.Errorf("read %q: want a workload, a DNS name or an address before the port, as in "+
			"billing:8080 POST /api/v1/charge", entry)
	}
	if hasPath {
		if !methodShape.MatchString(method) {
			return allowedRequest{}, fmt.Errorf("read %q: want a method after the port, as in billing:8080 POST "+
				"/api/v1/charge", entry)
		}
		r.method = method
		if r.path, err = urlpath.Parse(path); err != nil {
			return allowedRequest{}, fmt.Errorf("read %q: path: %w", entry, err)
		}
	}
	if want := r.String(); want != entry {
		return allowedRequest{}, fmt.Errorf("read %q: want %s", entry, want)
	}
	return r, nil
}

// requestList holds the well-formed entries of an annotation: a malformed one allows nothing, see [ValidateLists].
type requestList struct {
	all     []allowedRequest
	targets map[requestTarget]*requestsAt
	exact   map[string][]*requestsAt // those with exactly one peer, by peer
	wide    []*requestsAt            // those with asterisks in the peer
}

// requestsAt holds the entries for one peer and its ports.
type requestsAt struct {
	requestTarget
	entries  []int // their indexes, sorted
	allowAll []int // of those that allow every request
	paths    urlpath.Index
}

// add appends an entry.
func (l *requestList) add(r allowedRequest) {
	t := l.targets[r.requestTarget]
	if t == nil {
		t = &requestsAt{requestTarget: r.requestTarget}
		l.targets[r.requestTarget] = t
		if strings.Contains(r.peer, "*") {
			l.wide = append(l.wide, t)
		} else {
			l.exact[r.peer] = append(l.exact[r.peer], t)
		}
	}
	i := len(l.all)
	l.all = append(l.all, r)
	t.entries = append(t.entries, i)
	if r.allowsAll() {
		t.allowAll = append(t.allowAll, i)
	} else {
		t.paths.Add(r.path, i)
	}
}

// matching yields the indexes of the entries that allow a request.
func (l *requestList) matching(t *requestsAt, request flow.Request) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, i := range t.allowAll {
			if !yield(i) {
				return
			}
		}
		for i := range t.paths.Matching(request.Path) {
			if l.all[i].matches(request) && !yield(i) {
				return
			}
		}
	}
}

// limits are the entries that limit the requests of a flow.
type limits struct {
	list    *requestList
	targets []*requestsAt
}

// allow reports whether an entry allows a request.
func (l limits) allow(request flow.Request) bool {
	for _, t := range l.targets {
		for range l.list.matching(t, request) {
			return true
		}
	}
	return false
}

// describe returns the first of the peers and ports, and the requests, both in the order of the list.
func (l limits) describe() (target requestTarget, requests string) {
	var first []int // enough to abbreviate them
	n := 0
	for _, t := range l.targets {
		n += len(t.entries)
		first = append(first, t.entries[:min(mostPhrases, len(t.entries))]...)
	}
	slices.Sort(first)
	var phrases []string
	for _, i := range first[:min(mostPhrases, len(first))] {
		phrases = append(phrases, l.list.all[i].request())
	}
	return l.list.all[first[0]].requestTarget, abbreviate(phrases, n, ", ")
}

// requestsIn returns the entries of a policy.
func requestsIn(p metav1.Object) *requestList {
	return requestLists.read(p.GetAnnotations()[RequestsAnnotation], func(text string) *requestList {
		list := &requestList{targets: make(map[requestTarget]*requestsAt), exact: make(map[string][]*requestsAt)}
		for entry := range strings.SplitSeq(text, ",") {
			if r, err := parseRequest(strings.TrimSpace(entry)); err == nil {
				list.add(r)
			}
		}
		return list
	})
}

var requestLists memo[*requestList]

// at returns the entries for the destination and port of a flow of a subject. namespace is that of the policy.
func (l *requestList) at(s Scope, namespace string, f flow.Flow) []*requestsAt {
	if len(l.all) == 0 || f.Protocol != flow.TCP || f.Lookup {
		return nil
	}
	var found []*requestsAt
	consider := func(t *requestsAt) {
		if t.first <= f.Port && f.Port <= t.last {
			found = append(found, t)
		}
	}
	var names []string
	switch e := f.Destination; e.Kind {
	case flow.Workload, flow.Resolver, flow.APIServer:
		names = s.spellings(namespace, e)
	case flow.External:
		names = []string{e.Name}
	default:
		names = []string{EndpointAddress(e).String()}
	}
	for _, name := range names {
		for _, t := range l.exact[name] {
			consider(t)
		}
	}
	if f.Destination.Kind != flow.Address {
		for _, t := range l.wide {
			if slices.ContainsFunc(names, func(name string) bool { return MatchHost(t.peer, name) }) {
				consider(t)
			}
		}
	}
	return found
}

// limiting returns the entries that limit the requests of a flow; no targets if every request is allowed.
func (s Scope) limiting(p metav1.Object, subject Workload, f flow.Flow) limits {
	list := requestsIn(p)
	targets := list.at(s, policyNamespace(p, subject), f)
	if slices.ContainsFunc(targets, func(t *requestsAt) bool { return len(t.allowAll) > 0 }) {
		targets = nil
	}
	return limits{list, targets}
}

func policyNamespace(p metav1.Object, subject Workload) string {
	return cmp.Or(p.GetNamespace(), subject.Namespace, DefaultNamespace)
}

// ListsRequests reports whether a policy's list has an entry for the destination and port of a subject's flow.
func (s Scope) ListsRequests(p metav1.Object, subject Workload, f flow.Flow) bool {
	list := requestsIn(p)
	return len(list.at(s, policyNamespace(p, subject), f)) > 0
}

// UnlistedRequest returns why a policy's list does not allow a subject's flow, which the policy's rules allow, or "".
// The flow has at most one request, or is opaque. If the test does not record requests, the notice says that
// they are not compared with the list.
func (s Scope) UnlistedRequest(p metav1.Object, subject Workload, f flow.Flow) (why, notice string) {
	limits := s.limiting(p, subject, f)
	if len(limits.targets) == 0 {
		return "", ""
	}
	if s.Requests && f.Opaque == "" && (len(f.Requests) == 0 || limits.allow(f.Requests[0])) {
		return "", ""
	}
	switch target, lists := limits.describe(); {
	case !s.Requests:
		return "", fmt.Sprintf("policy %s lists requests for %s, which this test does not record: add the option Requests",
			p.GetName(), target)
	case f.Opaque != "":
		return fmt.Sprintf("%s: its requests cannot be compared with the annotation %s, which lists %s for %s",
			f.Opaque, RequestsAnnotation, lists, target), ""
	default:
		return fmt.Sprintf("%s is not in the annotation %s, which lists %s for %s",
			f.Requests[0], RequestsAnnotation, lists, target), ""
	}
}

// NeedsEveryRequest reports whether policies have to allow every HTTP request of a flow's connections: what they sent
// was not understood, or is not HTTP.
func NeedsEveryRequest(f flow.Flow) bool {
	return f.Opaque != "" || slices.ContainsFunc(f.Requests, func(r flow.Request) bool {
		return !r.IsHTTP() || !methodShape.MatchString(r.Method)
	})
}

// requestTargetOf returns the peer and ports that a subject's flow is written with.
func (s Scope) requestTargetOf(subject Workload, f flow.Flow) requestTarget {
	t := requestTarget{peer: s.Spelled(subject, f.Destination)}
	switch f.Destination.Kind {
	case flow.Address:
		t.peer = EndpointAddress(f.Destination).String()
	case flow.External:
		t.peer = s.Folded(f.Destination.Name)
	}
	t.first, t.last = s.PortsOfFlow(f)
	t.last = cmp.Or(t.last, t.first)
	return t
}

// EveryRequest returns the entry that allows every request to the destination and port of a subject's flow.
func (s Scope) EveryRequest(subject Workload, f flow.Flow) string {
	return allowedRequest{requestTarget: s.requestTargetOf(subject, f)}.String()
}

// requestGroup holds the outgoing flows that are written with the same peer and ports.
type requestGroup struct {
	flows      []subjectFlow
	needsEvery bool
}

// subjectFlow is an outgoing flow of a subject, with its requests and the entries that they are written as.
type subjectFlow struct {
	subject Workload
	flow.Flow
	entries []string
}

// requestGroups returns the groups of the flows over TCP of the subjects of one policy, in the order of their first
// flows. It leaves out flows over which nothing was sent.
func (s Scope) requestGroups(subjects []Subject, flows SubjectFlows) []*requestGroup {
	var groups []*requestGroup
	by := make(map[requestTarget]*requestGroup)
	for _, subject := range subjects {
		for _, f := range flows.Of(subject.Workload, Egress) {
			if f.Lookup || f.Protocol != flow.TCP || f.Opaque == "" && len(f.Requests) == 0 {
				continue
			}
			target := s.requestTargetOf(subject.Workload, f)
			g := by[target]
			if g == nil {
				g = new(requestGroup)
				by[target], groups = g, append(groups, g)
			}
			if NeedsEveryRequest(f) {
				g.needsEvery = true
				continue
			}
			of := subjectFlow{subject: subject.Workload, Flow: f}
			for _, r := range f.Requests {
				entry := allowedRequest{target, r.Method, urlpath.Of(r.Path, s.FoldPaths)}.String()
				if _, err := parseRequest(entry); err != nil {
					g.needsEvery = true // no list can hold it
				}
				of.entries = append(of.entries, entry)
			}
			g.flows = append(g.flows, of)
		}
	}
	return groups
}

// AddRequests makes a policy's list allow the requests of the outgoing flows of the subjects that the policy isolates.
// mayList reports whether the list may get the first entry for a flow's peer and port, from which on it limits the
// requests to it.
func (s Scope) AddRequests(
	p metav1.Object, subjects []Subject, flows SubjectFlows, mayList func(Workload, flow.Flow) bool,
) {
	if !s.Requests {
		return
	}
	for _, subject := range subjects { // first, because removed entries may be for others too
		for _, f := range flows.Of(subject.Workload, Egress) {
			if NeedsEveryRequest(f) {
				s.stopLimiting(p, subject.Workload, f)
			}
		}
	}
	groups := slices.DeleteFunc(s.requestGroups(subjects, flows), func(g *requestGroup) bool { return g.needsEvery })
	for {
		var added []string
		for _, g := range groups {
			added = append(added, s.missingRequests(p, g, mayList)...)
		}
		// An entry with asterisks in the peer may be the first that limits another flow.
		if AddEntries(p, RequestsAnnotation, added) == 0 {
			return
		}
	}
}

// missingRequests returns the entries that a policy lacks for a group, as [Scope.AddRequests] adds them.
func (s Scope) missingRequests(
	p metav1.Object, g *requestGroup, mayList func(Workload, flow.Flow) bool,
) []string {
	var missing, all []string
	isListed := false
	for _, f := range g.flows {
		all = append(all, f.entries...)
		limits := s.limiting(p, f.subject, f.Flow)
		isListed = isListed || len(limits.targets) > 0 || s.ListsRequests(p, f.subject, f.Flow) || !mayList(f.subject, f.Flow)
		for i, request := range f.Requests {
			if len(limits.targets) > 0 && !limits.allow(request) {
				missing = append(missing, f.entries[i])
			}
		}
	}
	if isListed {
		return missing
	}
	return all
}

// stopLimiting removes the entries that limit the requests of a flow.
func (s Scope) stopLimiting(p metav1.Object, subject Workload, f flow.Flow) {
	limits := s.limiting(p, subject, f)
	if len(limits.targets) == 0 {
		return
	}
	dropped := make(map[string]bool)
	for _, t := range limits.targets {
		for _, i := range t.entries {
			dropped[limits.list.all[i].String()] = true
		}
	}
	DropEntries(p, RequestsAnnotation, func(entry string) bool { return !dropped[entry] })
}

// unusedRequests returns the entries that no flow of the subjects needed. Without [Scope].Requests an entry is used if
// any flow goes to its peer and port.
func (s Scope) unusedRequests(p metav1.Object, subjects []Subject, flows SubjectFlows) []string {
	list := requestsIn(p)
	if len(list.all) == 0 || len(subjects) == 0 {
		return nil
	}
	used := make([]bool, len(list.all))
	for _, subject := range subjects {
		for _, f := range flows.Of(subject.Workload, Egress) {
			for _, t := range list.at(s, policyNamespace(p, subject.Workload), f) {
				if !s.Requests || NeedsEveryRequest(f) {
					for _, i := range t.entries {
						used[i] = true
					}
				}
				for _, i := range t.allowAll {
					used[i] = true
				}
				for _, request := range f.Requests {
					for i := range list.matching(t, request) {
						used[i] = true
					}
				}
			}
		}
	}
	var unused []string
	for i, r := range list.all {
		if !used[i] {
			unused = append(unused, r.String())
		}
	}
	return unused
}

// DescribeUnusedRequests returns one line for each entry of a policy that no flow of the subjects needed.
func (s Scope) DescribeUnusedRequests(p metav1.Object, subjects []Subject, flows SubjectFlows) []string {
	var lines []string
	for _, entry := range s.unusedRequests(p, subjects, flows) {
		lines = append(lines, fmt.Sprintf("policy %s: request %s", p.GetName(), entry))
	}
	return lines
}

// DropRequests removes the entries of a policy that no flow of the subjects needed.
func (s Scope) DropRequests(p metav1.Object, subjects []Subject, flows SubjectFlows) {
	unused := make(map[string]bool)
	for _, entry := range s.unusedRequests(p, subjects, flows) {
		unused[entry] = true
	}
	if len(unused) > 0 {
		DropEntries(p, RequestsAnnotation, func(entry string) bool { return !unused[entry] })
	}
}

// FoldRequests replaces each host and path in a policy's list that matches a pattern of Fold or FoldPaths by that
// pattern, in place.
func (s Scope) FoldRequests(p metav1.Object) {
	if len(s.Fold)+len(s.FoldPaths) == 0 {
		return
	}
	mapEntries(p, RequestsAnnotation, func(entry string) string {
		r, err := parseRequest(entry)
		if err != nil {
			return entry
		}
		if _, err := netip.ParseAddr(r.peer); err != nil && IsHost(r.peer) && !isWorkloadName(r.peer) {
			r.peer = s.Folded(r.peer)
		}
		if !r.allowsAll() {
			r.path = s.FoldedPath(r.path)
		}
		return r.String()
	})
}

// FoldedPath returns the pattern of FoldPaths that matches every path of another pattern, or that pattern. Of several
// it picks the first in alphabetical order, as [urlpath.Of] does.
func (s Scope) FoldedPath(p urlpath.Pattern) urlpath.Pattern {
	var found urlpath.Pattern
	for _, text := range s.FoldPaths {
		fold, err := urlpath.Parse(text)
		if err == nil && coversPath(fold, p) && (found == "" || fold < found) {
			found = fold
		}
	}
	return cmp.Or(found, p)
}

// coversPath reports whether each segment of the narrow pattern equals that of the wide one or matches it.
func coversPath(wide, narrow urlpath.Pattern) bool {
	w, n := strings.Split(string(wide), "/"), strings.Split(string(narrow), "/")
	if len(w) != len(n) {
		return false
	}
	for i := range w {
		if w[i] != n[i] && !urlpath.Pattern("/"+w[i]).Matches("/"+n[i]) {
			return false
		}
	}
	return true
}

// UniteRequests removes from a union's list the entries for a peer and port at which one of the parts allows every
// request, or may do so. opens reports whether a rule of a part may allow any flow over TCP to one of the ports.
func UniteRequests[P metav1.Object](united P, parts []P, opens func(p P, first, last uint16) bool) {
	DropEntries(united, RequestsAnnotation, func(entry string) bool {
		r, err := parseRequest(entry)
		return err != nil || !slices.ContainsFunc(parts, func(p P) bool {
			return requestsIn(p).targets[r.requestTarget] == nil && opens(p, r.first, r.last)
		})
	})
}
