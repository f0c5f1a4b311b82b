package policydiff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The numbers that a port and an ICMP type can have.
const (
	firstPort, lastPort = 1, 65535
	lastType            = 255
)

var (
	withPorts = []string{"TCP", "UDP", "SCTP"}
	withTypes = []string{"ICMP", "ICMPv6"}
)

// span is a range of ports or of ICMP types, both ends included.
type span struct{ first, last int }

// ports is a set of ports by protocol, of port names, of ICMP types, and of everything else that a rule can open.
type ports struct {
	spans map[string][]span // by protocol; sorted, apart from each other
	names map[string]bool   // "http/TCP": a number that only the pods know
	rest  bool              // every protocol without ports, but ICMP
}

// single returns the set of one range of a protocol.
func single(protocol string, first, last int) ports {
	return ports{spans: map[string][]span{protocol: {{first, last}}}}
}

// onePort returns the set of one port.
func onePort(protocol flow.Protocol, port uint16) ports {
	return single(protocol.String(), int(port), int(port))
}

// named returns the set of one port name.
func named(name, protocol string) ports {
	return ports{names: map[string]bool{name + "/" + protocol: true}}
}

// everyPort returns all ports of the protocols that have ports.
func everyPort() ports {
	var all ports
	for _, protocol := range withPorts {
		all.add(single(protocol, firstPort, lastPort))
	}
	return all
}

// everything returns what a rule of Cilium without ports opens.
func everything() ports {
	all := everyPort()
	for _, protocol := range withTypes {
		all.add(single(protocol, 0, lastType))
	}
	all.rest = true
	return all
}

func (p ports) isEmpty() bool { return len(p.spans)+len(p.names) == 0 && !p.rest }

// hasAll reports whether a protocol is open at every port.
func (p ports) hasAll(protocol string) bool {
	return slices.Equal(p.spans[protocol], []span{{firstPort, lastPort}})
}

// add adds the elements of another set.
func (p *ports) add(q ports) {
	for protocol, spans := range q.spans {
		if p.spans == nil {
			p.spans = make(map[string][]span)
		}
		p.spans[protocol] = merged(append(slices.Clone(p.spans[protocol]), spans...))
	}
	for name := range q.names {
		if p.names == nil {
			p.names = make(map[string]bool)
		}
		p.names[name] = true
	}
	p.rest = p.rest || q.rest
}

// merged sorts ranges and joins those that touch.
func merged(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	var all []span
	for _, s := range spans {
		if n := len(all); n > 0 && s.first <= all[n-1].last+1 {
			all[n-1].last = max(all[n-1].last, s.last)
			continue
		}
		all = append(all, s)
	}
	return all
}

// minus returns the elements that another set lacks. A port name is an element that a protocol without limits has.
func (p ports) minus(q ports) ports {
	var left ports
	for protocol, spans := range p.spans {
		for _, s := range spans {
			for _, taken := range q.spans[protocol] {
				if taken.last < s.first || s.last < taken.first {
					continue
				}
				if s.first < taken.first {
					left.add(single(protocol, s.first, taken.first-1))
				}
				s.first = taken.last + 1
			}
			if s.first <= s.last {
				left.add(single(protocol, s.first, s.last))
			}
		}
	}
	for name := range p.names {
		if _, protocol, _ := strings.Cut(name, "/"); !q.names[name] && !q.hasAll(protocol) {
			left.add(ports{names: map[string]bool{name: true}})
		}
	}
	left.rest = p.rest && !q.rest
	return left
}

// and returns the elements that both sets have.
func (p ports) and(q ports) ports { return p.minus(p.minus(q)) }

// String returns the set for a person: "443/TCP", "8000-8100/UDP, http/TCP", "53/ANY" for all protocols with ports,
// "every port".
func (p ports) String() string {
	byProtocol := make(map[string][]string)
	for _, protocol := range slices.Sorted(maps.Keys(p.spans)) {
		for _, s := range p.spans[protocol] {
			byProtocol[protocol] = append(byProtocol[protocol], s.text(protocol))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.names)) {
		text, protocol, _ := strings.Cut(name, "/")
		byProtocol[protocol] = append(byProtocol[protocol], text)
	}
	if everything().minus(p).isEmpty() {
		return "every port and protocol"
	}
	var phrases []string
	common := shared(byProtocol)
	for _, text := range common {
		phrases = append(phrases, phrase(text, "ANY"))
	}
	for _, protocol := range slices.Concat(withPorts, withTypes) {
		for _, text := range byProtocol[protocol] {
			if !slices.Contains(withPorts, protocol) || !slices.Contains(common, text) {
				phrases = append(phrases, phrase(text, protocol))
			}
		}
	}
	if p.rest {
		phrases = append(phrases, "protocols without ports")
	}
	return strings.Join(phrases, ", ")
}

// shared returns the texts that every protocol with ports has.
func shared(byProtocol map[string][]string) []string {
	var all []string
	for _, text := range byProtocol[withPorts[0]] {
		if !slices.ContainsFunc(withPorts[1:], func(p string) bool { return !slices.Contains(byProtocol[p], text) }) {
			all = append(all, text)
		}
	}
	return all
}

func phrase(text, protocol string) string {
	switch {
	case slices.Contains(withTypes, protocol) && text == "":
		return "all " + protocol
	case slices.Contains(withTypes, protocol):
		return protocol + " " + text
	case text == "" && protocol == "ANY":
		return "every port"
	case text == "":
		return fmt.Sprintf("all %s ports", protocol)
	}
	return text + "/" + protocol
}

// text returns the range without its protocol, or "" if it is all there is.
func (s span) text(protocol string) string {
	first, last := firstPort, lastPort
	word := ""
	if slices.Contains(withTypes, protocol) {
		first, last, word = 0, lastType, "type "
	}
	switch {
	case s.first == first && s.last == last:
		return ""
	case protocol == withTypes[0] && s == span{echo, echo}, protocol == withTypes[1] && s == span{echoV6, echoV6}:
		return "echo request"
	case s.first == s.last:
		return word + strconv.Itoa(s.first)
	}
	return fmt.Sprintf("%s%d-%d", word, s.first, s.last)
}

// The types of an echo request.
const (
	echo   = 8
	echoV6 = 128
)
