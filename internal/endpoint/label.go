package endpoint

import (
	"fmt"
	"strings"
)

// maxLabel is the maximum length of a DNS label (RFC 1123) and of a Kubernetes label value.
const maxLabel = 63

// Label turns any name, such as an executable's, into a DNS-1123 label: lower case, with one '-' for every run of other
// characters, at most 63 bytes. It does not change valid labels. It returns "" for a name without a letter or digit.
func Label(name string) string {
	if labelFault(name) == "" {
		return name
	}
	var b strings.Builder
	gap := false
	for _, c := range []byte(name) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if !labelByte(c) {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('-')
			gap = false
		}
		b.WriteByte(c)
	}
	s := b.String()
	if len(s) > maxLabel {
		s = s[:maxLabel]
	}
	return strings.TrimRight(s, "-")
}

// CheckLabel returns nil for a DNS-1123 label, which is also a valid Kubernetes label value. Otherwise its error says
// what is wrong with the name and what to write instead.
func CheckLabel(name string) error {
	wrong := labelFault(name)
	if wrong == "" {
		return nil
	}
	if name == "" {
		return fmt.Errorf("name %s: write the workload's name, such as \"orders-db\"", wrong)
	}
	if l := Label(name); l != "" {
		return fmt.Errorf("name %q %s: write %q", name, wrong, l)
	}
	return fmt.Errorf("name %q %s: write a name such as \"orders-db\"", name, wrong)
}

// labelFault returns the reason why a name is not a DNS-1123 label; "" if it is one.
func labelFault(name string) string {
	switch bad := strings.IndexFunc(name, func(r rune) bool { return r > 0x7f || !labelByte(byte(r)) && r != '-' }); {
	case name == "":
		return "is empty"
	case len(name) > maxLabel:
		return fmt.Sprintf("is %d bytes long, a Kubernetes name has at most %d", len(name), maxLabel)
	case bad >= 0:
		return fmt.Sprintf("has %q at byte %d, only lower-case letters, digits and '-' may stand there",
			[]rune(name[bad:])[0], bad)
	case name[0] == '-' || name[len(name)-1] == '-':
		return "begins or ends with '-'"
	}
	return ""
}

func labelByte(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
