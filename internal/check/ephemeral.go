package check

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// refuseEphemeral returns an error for flows to ports that the next run may not use, unless the committed policies
// allow them with a hand-written range or all ports. The error is a [*recording.OptionError].
func refuseEphemeral(placed placement.Placement, o Options) error {
	found := slices.Clone(placed.EphemeralPorts)
	if len(found) == 0 {
		return nil
	}
	file, err := golden.Read(o.Golden)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		file = new(golden.File)
	case err != nil, o.otherDialect(file) != nil:
		return nil // the comparison with the file reports it
	}
	found = notAllowed(dialectFor(o.dialect(), placed.Scope), file, found)
	if len(found) == 0 {
		return nil
	}
	return &recording.OptionError{Texts: describeEphemeral(found)}
}

// notAllowed returns the flows for which an update would have to write a port. The committed policies do not allow
// these flows, or do not isolate the destination for ingress yet.
func notAllowed(d dialect, file *golden.File, all []recording.EphemeralPort) []recording.EphemeralPort {
	evaluate := d.Evaluator(file.Policies)
	before := d.NotIsolated(file.Policies, nil)
	return slices.DeleteFunc(all, func(p recording.EphemeralPort) bool {
		with := d.NotIsolated(file.Policies, []flow.Flow{p.Flow})
		f := p.Flow
		f.Requests, f.Opaque = nil, ""
		return evaluate(f).Outcome == policy.Allowed && slices.Equal(with, before)
	})
}

// describeEphemeral names each server once, with its ports and callers, and says how to fix the port.
func describeEphemeral(all []recording.EphemeralPort) []string {
	type server struct {
		name     string
		protocol flow.Protocol
		rest     string // the kind of server
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
			s.name, strings.Join(callers[s], " and "), what, strings.Join(ports[s], ", "), s.protocol,
			why(p), remedy(p)))
	}
	slices.Sort(texts)
	return texts
}

// kernelChooses says why a port changes.
const kernelChooses = "the kernel assigns to servers that listen on port 0, so it changes with every run"

// why returns the reason for which the port may change.
func why(p recording.EphemeralPort) string {
	if p.Container != "" {
		return fmt.Sprintf("container %s does not expose, and which %s", p.Container, kernelChooses)
	}
	return kernelChooses
}

// remedy says how to fix the port.
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
		address = fmt.Sprintf("localhost:%d", p.Flow.Port) // whichever address containers use
	}
	return fmt.Sprintf("Give it a fixed port below that range, or say at which port it serves in the cluster: "+
		"Peer(%q, %q), or which range it has there: %s", address, name+endpoint.ExamplePort, ranges)
}
