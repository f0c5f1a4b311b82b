package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The longest names, in bytes, by RFC 1035.
const (
	longestHost  = 253 // without the trailing dot
	longestLabel = 63
)

// IsHost reports whether a policy can hold a name as a host name.
func IsHost(name string) bool { return isHostPattern(name) && !strings.Contains(name, "*") }

func isHostPattern(name string) bool { return len(name) <= longestHost && hasHostShape(name) }

// hasHostShape reports whether a text is labels of a host name in lower case, separated by dots. It accepts
// underscores, which DNS names have and host names should not. With asterisks the text is a pattern.
func hasHostShape(text string) bool {
	length := 0 // of the current label
	for i := range len(text) {
		switch c := text[i]; {
		case c == '.' && length > 0:
			length = 0
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '*', c == '-':
			length++
		default:
			return false
		}
		if length > longestLabel {
			return false
		}
	}
	return length > 0
}

// AllowedName is one entry of [NamesAnnotation].
type AllowedName struct {
	Host     string // a host name or a pattern
	Port     uint16 // 0 in an entry for lookups, like the protocol
	Protocol flow.Protocol
}

// String returns the name as an annotation lists it.
func (n AllowedName) String() string {
	if n.IsLookup() {
		return n.Host + ":" + lookupPort
	}
	return fmt.Sprintf("%s:%d/%s", n.Host, n.Port, n.Protocol)
}

// Matches reports whether an entry with a port matches a flow, or the lookup of its host. For other entries see
// [AllowedName.MatchesLookup].
func (n AllowedName) Matches(f flow.Flow) bool {
	if f.Lookup || n.IsLookup() {
		return f.Lookup && !n.IsLookup() && n.MatchesLookup(f, Scope{}.LookupHosts("", f))
	}
	return f.Destination.Kind == flow.External && n.Port == f.Port && n.Protocol == f.Protocol &&
		MatchHost(n.Host, f.Destination.Name)
}

// parseNames parses the value of [NamesAnnotation]. It returns the well-formed entries, and an error for each of the
// others. An empty value has no entries.
func parseNames(list string) (names []AllowedName, malformed []error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	for entry := range strings.SplitSeq(list, ",") {
		name, err := ParseName(strings.TrimSpace(entry))
		if err != nil {
			malformed = append(malformed, err)
			continue
		}
		names = append(names, name)
	}
	return names, malformed
}

// ParseName parses one entry. It accepts only the form that [AllowedName.String] writes.
func ParseName(entry string) (AllowedName, error) {
	rest, protocol, _ := strings.Cut(entry, "/")
	host, port, _ := strings.Cut(rest, ":")
	if name := (AllowedName{Host: host}); entry == name.String() && host != "*" && (isHostPattern(host) ||
		isEscapedHost(host)) {
		return name, nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	name := AllowedName{host, uint16(number), ProtocolOf(corev1.Protocol(protocol))}
	switch {
	case host == "*":
		return AllowedName{}, fmt.Errorf("read name %q: an asterisk alone is every name: remove the annotation instead",
			entry)
	case !isHostPattern(host):
		return AllowedName{}, fmt.Errorf("read name %q: want a host name in lower case, as in host.example:443/TCP", entry)
	case err != nil || number == 0:
		return AllowedName{}, fmt.Errorf(
			"read name %q: want a port from 1 to 65535 after the host, as in host.example:443/TCP, "+
				"or host.example:* for a lookup that has no answer",
			entry,
		)
	case name.Protocol == 0:
		return AllowedName{}, fmt.Errorf("read name %q: want the protocol TCP, UDP or SCTP, as in host.example:443/TCP",
			entry)
	case name.String() != entry:
		return AllowedName{}, fmt.Errorf("read name %q: want %s", entry, name)
	}
	return name, nil
}

// MatchHost reports whether a host matches a pattern or equals a name.
func MatchHost(pattern, host string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == host
	}
	rest, subdomains := strings.CutPrefix(pattern, "*.")
	expr := strings.ReplaceAll(regexp.QuoteMeta(rest), `\*`, `[a-z0-9-]*`) + "$"
	if subdomains {
		expr = `([^.]+\.)+` + expr
	}
	return matches("^"+expr, host)
}

var expressions sync.Map // by pattern; nil for an invalid one

// matches reports whether a regular expression matches. Each expression is compiled once.
func matches(expr, text string) bool {
	compiled, known := expressions.Load(expr)
	if !known {
		re, _ := regexp.Compile(expr)
		compiled, _ = expressions.LoadOrStore(expr, re)
	}
	re := compiled.(*regexp.Regexp)
	return re != nil && re.MatchString(text)
}

// ProtocolOf returns the protocol that a policy names, or 0 for one that a policy cannot name. Kubernetes treats a
// missing protocol as TCP; the caller handles that, because only the caller can distinguish a missing protocol from
// an empty one.
func ProtocolOf(name corev1.Protocol) flow.Protocol {
	for _, p := range []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP} {
		if p.String() == string(name) {
			return p
		}
	}
	return 0
}
