package netzerotest

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// refuseChanging returns an error for the flows to ports that change with every run, unless the committed policies
// allow them: a person may have written a range, or all ports. The error is an *recording.OptionError.
func (r *Recording) refuseChanging(recorded recording.Recording, scope policy.Scope) error {
	found := r.config.unnamedPorts(recorded, scope)
	if len(found) == 0 {
		return nil
	}
	file, err := golden.Read(r.golden)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		file = new(golden.File)
	case err != nil, r.config.otherDialect(file) != nil:
		return nil // which is told where the file is judged
	}
	if r.config.cilium {
		found = notAllowed(ciliums(scope), file, found)
	} else {
		found = notAllowed(kubernetes(scope), file, found)
	}
	if len(found) == 0 {
		return nil
	}
	return &recording.OptionError{Texts: describeChanging(found)}
}

// notAllowed returns the flows for which an update would have to write a port: the committed policies do not allow
// them, or isolate who is called for egress only, so far.
func notAllowed[P golden.Policy](d dialect[P], file *golden.File, all []recording.EphemeralPort) []recording.EphemeralPort {
	evaluate := d.rules.Evaluator(d.of(file))
	before := d.rules.NotIsolated(d.of(file), nil)
	return slices.DeleteFunc(all, func(p recording.EphemeralPort) bool {
		with := d.rules.NotIsolated(d.of(file), []Flow{p.Flow})
		return evaluate(p.Flow).Outcome == policy.Allowed && slices.Equal(with, before)
	})
}

// unnamedPorts returns the flows to ports that change, as they are in the cluster, of workloads that get policies,
// without those at ports that the manifests or the option Ports name.
func (c config) unnamedPorts(recorded recording.Recording, scope policy.Scope) []recording.EphemeralPort {
	d := &deployment{config: c, scope: scope, found: make(map[flow.Endpoint]*manifest.Match)}
	isSubject := func(e flow.Endpoint) bool {
		is := func(s policy.Subject) bool {
			return s.Name == e.Name && (s.Namespace == e.Namespace || e.Namespace == "")
		}
		return e.Kind == flow.Workload && !e.Node && slices.ContainsFunc(scope.Subjects, is)
	}
	var found []recording.EphemeralPort
	for _, p := range recorded.EphemeralPorts {
		if to := p.Flow.Destination; to.Kind == flow.Workload {
			m := d.find(to.Identity(), false)
			if m != nil && (len(m.Selector) == 0 || m.Serves(p.Flow.Port, p.Flow.Protocol)) {
				continue
			}
		}
		asRecorded := p.Flow
		p.Flow.Source, p.Flow.Destination = d.place(p.Flow.Source), d.place(p.Flow.Destination)
		if !c.fixes(asRecorded) && !c.fixes(p.Flow) && (isSubject(p.Flow.Source) || isSubject(p.Flow.Destination)) {
			found = append(found, p)
		}
	}
	return found
}

// describeChanging names each server once, with its ports and who called it there, and says what to do.
func describeChanging(all []recording.EphemeralPort) []string {
	type server struct {
		name     string
		protocol flow.Protocol
		rest     string // what kind of server it is
	}
	var order []server
	ports, callers := make(map[server][]string), make(map[server][]string)
	first := make(map[server]recording.EphemeralPort)
	add := func(list []string, text string) []string {
		if slices.Contains(list, text) {
			return list
		}
		return append(list, text)
	}
	for _, p := range all {
		s := server{p.Flow.Destination.String(), p.Flow.Protocol, fmt.Sprint(p.Container, p.Test)}
		if _, known := first[s]; !known {
			order, first[s] = append(order, s), p
		}
		ports[s] = add(ports[s], fmt.Sprint(p.Flow.Port))
		callers[s] = add(callers[s], p.Flow.Source.String())
	}
	var texts []string
	for _, s := range order {
		p, what := first[s], "port"
		if len(ports[s]) > 1 {
			what = "ports"
		}
		slices.Sort(ports[s])
		slices.Sort(callers[s])
		texts = append(texts, fmt.Sprintf("%s serves %s at %s %s/%s, which %s: no policy can hold that. %s",
			s.name, strings.Join(callers[s], " and "), what, strings.Join(ports[s], ", "), s.protocol, why(p), remedy(p)))
	}
	slices.Sort(texts)
	return texts
}

// kernelChooses is how a port changes.
const kernelChooses = "the kernel hands out to servers that ask for any, so that the next run has another"

// why says how it is known that the port changes.
func why(p recording.EphemeralPort) string {
	if p.Container != "" {
		return fmt.Sprintf("container %s does not expose, and which %s", p.Container, kernelChooses)
	}
	return kernelChooses
}

// remedy says what to do.
func remedy(p recording.EphemeralPort) string {
	name, protocol := p.Flow.Destination.Name, ""
	if p.Flow.Destination.Kind != flow.Workload {
		name = "name"
	}
	if p.Flow.Protocol != flow.TCP {
		protocol = "/" + p.Flow.Protocol.String()
	}
	always := fmt.Sprintf("%s:%d%s", name, p.Flow.Port, protocol)
	ranges := fmt.Sprintf("Ports(%q), or of a port that it always has: Ports(%q)", name+":30000-30009"+protocol, always)
	if p.Container != "" {
		return "Give it a fixed port and expose that (EXPOSE, testcontainers.WithExposedPorts), " +
			"or say which range it has in the cluster: " + ranges
	}
	address := netip.AddrPortFrom(p.Flow.Destination.Addr, p.Flow.Port).String()
	if p.Test {
		address = fmt.Sprintf("localhost:%d", p.Flow.Port) // by whichever address containers reach it
	}
	return fmt.Sprintf("Give it a fixed port below that range, or say at which port it serves in the cluster: "+
		"Peer(%q, %q), or which range it has there: %s", address, name+endpoint.ExamplePort, ranges)
}
