package dns

import (
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// The 64-bit parameters of FNV-1a. They are spelled out because the C of the kernel program does the same.
const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

// Hash returns the number by which the kernel program identifies a question: FNV-1a, 64 bits, over the name in wire
// format (each label's length in one byte, then the label's bytes with ASCII A–Z in lower case) without the terminating
// zero byte. The highest bit is then set, so that no question is 0.
//
// The name is in the form that [Parse] returns; "" is the root. Upper case and a trailing dot, which a canonical name
// does not have, make no difference.
//
// Two names may share a hash, also by an attacker's choice. Then neither the kernel nor [Names] can distinguish them.
func Hash(name string) uint64 {
	h := uint64(fnvOffset)
	label := make([]byte, 0, 63)
	endLabel := func() {
		if len(label) == 0 {
			return // the root, or a trailing dot
		}
		h = (h ^ uint64(byte(len(label)))) * fnvPrime
		for _, b := range label {
			h = (h ^ uint64(lower(b))) * fnvPrime
		}
		label = label[:0]
	}
	for i := 0; i < len(name); i++ {
		switch b := name[i]; b {
		case '.':
			endLabel()
		case '\\':
			b, n := unescape(name[i+1:])
			label = append(label, b)
			i += n
		default:
			label = append(label, b)
		}
	}
	endLabel()
	return h | 1<<63
}

// canonical returns the name in the form of Answer.Question. A dot in it always ends a label, because the parser
// rejects labels with dots.
func canonical(name dnsmessage.Name) string {
	wire := name.Data[:name.Length]
	text := make([]byte, 0, len(wire))
	for _, b := range wire {
		switch b = lower(b); {
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '-', b == '_', b == '.':
			text = append(text, b)
		default:
			text = append(text, '\\', '0'+b/100, '0'+b/10%10, '0'+b%10)
		}
	}
	if len(text) > 0 && text[len(text)-1] == '.' {
		text = text[:len(text)-1]
	}
	return string(text)
}

// host returns the host of a question: "" for SRV records, and the name without the labels for port and scheme (RFC
// 9460, section 2.3) for HTTPS or SVCB records.
func host(question string, kind dnsmessage.Type) string {
	switch kind {
	case dnsmessage.TypeSRV:
		return ""
	case dnsmessage.TypeHTTPS, dnsmessage.TypeSVCB:
		for rest := question; strings.HasPrefix(rest, "_"); {
			label, host, found := strings.Cut(rest, ".")
			if !found || label == "" {
				return question
			}
			if rest = host; !strings.HasPrefix(rest, "_") {
				return rest
			}
		}
	}
	return question
}

// searchSuffix ends the first attempt of the search list that Kubernetes gives to pods, after the pod's namespace.
const searchSuffix = ".svc.cluster.local"

// completed returns alias if the resolver itself applied a search list to name and found alias; otherwise name. The
// queried name is the part before the namespace. A single label before the namespace is a Service, which may be an
// alias of a host with the same first label.
func completed(name, alias string) string {
	rest, found := strings.CutSuffix(name, searchSuffix)
	if !found {
		return name
	}
	question := rest[:max(strings.LastIndexByte(rest, '.'), 0)]
	if strings.Contains(question, ".") && (alias == question || strings.HasPrefix(alias, question+".")) {
		return alias
	}
	return name
}

// unescape decodes the text after a backslash: three decimal digits, or the byte itself. It returns how many bytes of s
// it read.
func unescape(s string) (b byte, n int) {
	if len(s) >= 3 && digit(s[0]) && digit(s[1]) && digit(s[2]) {
		return (s[0]-'0')*100 + (s[1]-'0')*10 + (s[2] - '0'), 3
	}
	if s == "" {
		return '\\', 0
	}
	return s[0], 1
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

// lower folds ASCII only, as DNS does (RFC 4343): any other folding could merge two different names.
func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}
