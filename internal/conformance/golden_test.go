package conformance

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// eachFile calls a function with every golden file of the repository, in either dialect, from directories of tests and
// from scripts.
func eachFile(t *testing.T, check func(origin string, file *golden.File)) {
	t.Helper()
	read := func(origin, path string) {
		// Other files are not golden files. The tests of package golden and of its users cover broken ones.
		if file, err := golden.Read(path); err == nil {
			check(origin, file)
		}
	}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(filepath.ToSlash(path), "testdata/") {
			return err
		}
		switch filepath.Ext(path) {
		case ".yaml":
			read(path, path)
		case ".txtar":
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i, part := range inArchive.Split(string(text), -1)[1:] {
				file := filepath.Join(t.TempDir(), "x.yaml")
				if err := os.WriteFile(file, []byte(part), 0o600); err != nil {
					return err
				}
				read(fmt.Sprintf("%s, file %d", path, i+1), file)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// inArchive matches the header before each file of a script.
var inArchive = regexp.MustCompile(`(?m)^-- .* --\n`)

// eachGolden calls a function with the NetworkPolicies of every golden file.
func eachGolden(t *testing.T, check func(origin string, policies []*networkingv1.NetworkPolicy)) {
	t.Helper()
	eachFile(t, func(origin string, file *golden.File) {
		var policies []*networkingv1.NetworkPolicy
		for _, p := range file.Policies {
			if p, ok := p.(*networkingv1.NetworkPolicy); ok {
				policies = append(policies, p)
			}
		}
		if len(policies) > 0 {
			check(origin, policies)
		}
	})
}

// intended returns the flows that policies with labels and port numbers intend to allow: one for each peer and port of
// each rule. The pods of each policy are in scope.
func intended(policies []*networkingv1.NetworkPolicy) (policy.Scope, []flow.Flow) {
	var scope policy.Scope
	for _, p := range policies {
		if len(p.Spec.PodSelector.MatchExpressions) > 0 {
			continue
		}
		w := policy.Workload{Name: p.Name, Namespace: p.Namespace, Labels: p.Spec.PodSelector.MatchLabels}
		scope.Subjects = append(scope.Subjects,
			policy.Subject{Workload: w, AllTraffic: slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)})
	}
	var flows []flow.Flow
	add := func(p *networkingv1.NetworkPolicy, ingress bool, peers []networkingv1.NetworkPolicyPeer,
		ports []networkingv1.NetworkPolicyPort) {
		own := flow.Endpoint{Kind: flow.Workload, Name: p.Name, Namespace: p.Namespace}
		for _, peer := range peers {
			for _, far := range peerEnds(&scope, p, peer) {
				for _, port := range ports {
					if port.Port == nil || port.Port.Type == intstr.String {
						continue
					}
					// A port of the internet only applies to the names listed with it.
					if entry := far.Name + ":" + port.Port.String() + "/"; far.Kind == flow.External &&
						!strings.Contains(p.Annotations[policy.NamesAnnotation], entry) {
						continue
					}
					f := flow.Flow{Source: own, Destination: far, Protocol: flow.TCP, Port: uint16(port.Port.IntVal), Count: 1}
					if port.Protocol != nil {
						f.Protocol = protocols[*port.Protocol]
					}
					if ingress {
						f.Source, f.Destination = far, own
					}
					flows = append(flows, f)
				}
			}
		}
	}
	for _, p := range policies {
		if !slices.ContainsFunc(scope.Subjects,
			func(s policy.Subject) bool { return s.Name == p.Name && s.Namespace == p.Namespace }) {
			continue
		}
		for _, r := range p.Spec.Egress {
			add(p, false, r.To, r.Ports)
		}
		for _, r := range p.Spec.Ingress {
			add(p, true, r.From, r.Ports)
		}
	}
	return scope, flows
}

// peerEnds returns the endpoints that a peer stands for. It adds pods with the peer's labels to the scope.
func peerEnds(scope *policy.Scope, p *networkingv1.NetworkPolicy, peer networkingv1.NetworkPolicyPeer) []flow.Endpoint {
	if peer.IPBlock != nil {
		prefix, err := netip.ParsePrefix(peer.IPBlock.CIDR)
		switch list := p.Annotations[policy.NamesAnnotation]; {
		case err != nil:
			return nil
		case prefix.Bits() > 0:
			return []flow.Endpoint{{Kind: flow.Address, Addr: prefix.Addr()}}
		case list == "":
			return nil
		default:
			var hosts []flow.Endpoint
			for entry := range strings.SplitSeq(list, ",") {
				host, _, _ := strings.Cut(strings.TrimSpace(entry), ":")
				hosts = append(hosts,
					flow.Endpoint{Kind: flow.External, Name: strings.ReplaceAll(host, "*", "any"), Addr: anywhere})
			}
			return hosts
		}
	}
	if peer.PodSelector == nil || len(peer.PodSelector.MatchExpressions) > 0 || peer.NamespaceSelector != nil &&
		len(peer.NamespaceSelector.MatchExpressions) > 0 {
		return nil
	}
	labels, namespace := peer.PodSelector.MatchLabels, p.Namespace
	if peer.NamespaceSelector != nil && len(peer.NamespaceSelector.MatchLabels) > 0 {
		namespace = peer.NamespaceSelector.MatchLabels[namespaceLabel]
	}
	if labels["k8s-app"] == flow.ClusterResolver.Name && namespace == flow.ClusterResolver.Namespace {
		return []flow.Endpoint{flow.ClusterResolver}
	}
	for _, s := range scope.Subjects {
		if s.Namespace == namespace && toText(s.Labels) == toText(labels) {
			return []flow.Endpoint{{Kind: flow.Workload, Name: s.Name, Namespace: s.Namespace}}
		}
	}
	w := policy.Workload{Name: "peer-" + strconv.Itoa(len(scope.Peers)), Namespace: namespace, Labels: labels}
	scope.Peers = append(scope.Peers, w)
	return []flow.Endpoint{{Kind: flow.Workload, Name: w.Name, Namespace: w.Namespace}}
}
