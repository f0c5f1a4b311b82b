package netzerotest

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// changingPort is a flow to a port that the kernel may have given to a server which asked for any: the next run may
// have another, so that no golden file may hold it.
type changingPort struct {
	flow      Flow
	container string // its name and image, where the server is one; empty elsewhere
	test      bool   // the server is the test process
}

// refuseChanging returns an error for the flows to ports that change with every run, unless the committed policies
// allow them: a person may have written a range, or all ports. The error is an *optionError.
func (r *Recording) refuseChanging(recorded settlement, scope policy.Scope) error {
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
	return &optionError{describeChanging(found)}
}

// notAllowed returns the flows for which an update would have to write a port: the committed policies do not allow
// them, or isolate who is called for egress only, so far.
func notAllowed[P golden.Policy](d dialect[P], file *golden.File, all []changingPort) []changingPort {
	evaluate := d.rules.Evaluator(d.of(file))
	before := d.rules.NotIsolated(d.of(file), nil)
	return slices.DeleteFunc(all, func(p changingPort) bool {
		with := d.rules.NotIsolated(d.of(file), []Flow{p.flow})
		return evaluate(p.flow).Outcome == policy.Allowed && slices.Equal(with, before)
	})
}

// unnamedPorts returns the flows to ports that change, as they are in the cluster, of workloads that get policies,
// without those at ports that the manifests or the option Ports name.
func (c config) unnamedPorts(recorded settlement, scope policy.Scope) []changingPort {
	d := &deployment{config: c, scope: scope, found: make(map[flow.Endpoint]*manifest.Match)}
	isSubject := func(e flow.Endpoint) bool {
		is := func(s policy.Subject) bool {
			return s.Name == e.Name && (s.Namespace == e.Namespace || e.Namespace == "")
		}
		return e.Kind == flow.Workload && !e.Node && slices.ContainsFunc(scope.Subjects, is)
	}
	var found []changingPort
	for _, p := range recorded.changing {
		if to := p.flow.Destination; to.Kind == flow.Workload {
			m := d.find(to.Identity(), false)
			if m != nil && (len(m.Selector) == 0 || m.Serves(p.flow.Port, p.flow.Protocol)) {
				continue
			}
		}
		asRecorded := p.flow
		p.flow.Source, p.flow.Destination = d.place(p.flow.Source), d.place(p.flow.Destination)
		if !c.fixes(asRecorded) && !c.fixes(p.flow) && (isSubject(p.flow.Source) || isSubject(p.flow.Destination)) {
			found = append(found, p)
		}
	}
	return found
}

// describeChanging names each server once, with its ports and who called it there, and says what to do.
func describeChanging(all []changingPort) []string {
	type server struct {
		name     string
		protocol flow.Protocol
		rest     string // what kind of server it is
	}
	var order []server
	ports, callers := make(map[server][]string), make(map[server][]string)
	first := make(map[server]changingPort)
	add := func(list []string, text string) []string {
		if slices.Contains(list, text) {
			return list
		}
		return append(list, text)
	}
	for _, p := range all {
		s := server{p.flow.Destination.String(), p.flow.Protocol, fmt.Sprint(p.container, p.test)}
		if _, known := first[s]; !known {
			order, first[s] = append(order, s), p
		}
		ports[s] = add(ports[s], fmt.Sprint(p.flow.Port))
		callers[s] = add(callers[s], p.flow.Source.String())
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
			s.name, strings.Join(callers[s], " and "), what, strings.Join(ports[s], ", "), s.protocol, p.why(), p.remedy()))
	}
	slices.Sort(texts)
	return texts
}

// kernelChooses is how a port changes.
const kernelChooses = "the kernel hands out to servers that ask for any, so that the next run has another"

// why says how it is known that the port changes.
func (p changingPort) why() string {
	if p.container != "" {
		return fmt.Sprintf("container %s does not expose, and which %s", p.container, kernelChooses)
	}
	return kernelChooses
}

// remedy says what to do.
func (p changingPort) remedy() string {
	name, protocol := p.flow.Destination.Name, ""
	if p.flow.Destination.Kind != flow.Workload {
		name = "name"
	}
	if p.flow.Protocol != flow.TCP {
		protocol = "/" + p.flow.Protocol.String()
	}
	always := fmt.Sprintf("%s:%d%s", name, p.flow.Port, protocol)
	ranges := fmt.Sprintf("Ports(%q), or of a port that it always has: Ports(%q)", name+":30000-30009"+protocol, always)
	if p.container != "" {
		return "Give it a fixed port and expose that (EXPOSE, testcontainers.WithExposedPorts), " +
			"or say which range it has in the cluster: " + ranges
	}
	address := netip.AddrPortFrom(p.flow.Destination.Addr, p.flow.Port).String()
	if p.test {
		address = fmt.Sprintf("localhost:%d", p.flow.Port) // by whichever address containers reach it
	}
	return fmt.Sprintf("Give it a fixed port below that range, or say at which port it serves in the cluster: "+
		"Peer(%q, %q), or which range it has there: %s", address, name+examplePort, ranges)
}
