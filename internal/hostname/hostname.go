// Package hostname reads the name that a client gives the server it connects to before anything is encrypted: the
// extension server_name of a TLS ClientHello (RFC 6066), and the value of the header Host of an HTTP/1 request (RFC 9110).
//
// It takes the very bytes that were sent, from anybody, and refuses with an error what is no name of a host: addresses,
// names that DNS could not hold, several names, and what breaks the rules of TLS or HTTP. It looks nothing up, keeps
// nothing, and says of no name that it is true: a client may name whom it likes.
package hostname

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

var (
	// ErrMalformed is returned for what breaks the rules of the protocol or of host names.
	ErrMalformed = errors.New("malformed server name")
	// ErrAddress is returned where the client names the server by its address.
	ErrAddress = errors.New("an address, not a name")
)

// The longest name and label that DNS can hold, as text.
const (
	maxName  = 253
	maxLabel = 63
)

// FromTLS returns the host that the body of an extension server_name holds, in lower case without a trailing dot.
// Errors: [ErrMalformed], [ErrAddress].
func FromTLS(extension []byte) (string, error) {
	const hostName = 0 // the only type there is
	body := cryptobyte.String(extension)
	var list, name cryptobyte.String
	var nameType uint8
	if !body.ReadUint16LengthPrefixed(&list) || !body.Empty() ||
		!list.ReadUint8(&nameType) || !list.ReadUint16LengthPrefixed(&name) || !list.Empty() {
		return "", fmt.Errorf("extension of %d bytes: %w", len(extension), ErrMalformed)
	}
	if nameType != hostName {
		return "", fmt.Errorf("name of type %d: %w", nameType, ErrMalformed)
	}
	return canonical(string(name))
}

// FromHTTP returns the host that the value of a header Host holds, with or without a port, in lower case without a
// trailing dot. Errors: [ErrMalformed], [ErrAddress].
func FromHTTP(value []byte) (string, error) {
	host := strings.Trim(string(value), " \t")
	if strings.HasPrefix(host, "[") {
		return "", ErrAddress
	}
	if name, port, found := strings.Cut(host, ":"); found {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil && port != "" {
			return "", fmt.Errorf("port %.20q: %w", port, ErrMalformed)
		}
		host = name
	}
	return canonical(host)
}

// canonical returns the one form of a host's name.
func canonical(host string) (string, error) {
	host = strings.TrimSuffix(host, ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return "", ErrAddress
	}
	if host == "" || len(host) > maxName {
		return "", fmt.Errorf("name of %d bytes: %w", len(host), ErrMalformed)
	}
	name := []byte(host)
	for i, b := range name {
		if 'A' <= b && b <= 'Z' { // ASCII only, as in DNS
			name[i] = b + 'a' - 'A'
		}
	}
	for label := range strings.SplitSeq(string(name), ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("label %.70q: %w", label, ErrMalformed)
		}
	}
	return string(name), nil
}

// isLabel reports whether a part of a name is one that hosts have: letters, digits and hyphens (RFC 1123), and underscores,
// which some have all the same.
func isLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		switch b := label[i]; {
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '-', b == '_':
		default:
			return false
		}
	}
	return true
}
