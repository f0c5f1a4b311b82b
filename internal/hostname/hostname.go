// Package hostname reads the server name that a client sends before encryption starts: the server_name extension of a
// TLS ClientHello (RFC 6066), and the Host header of an HTTP/1 request (RFC 9110).
//
// It reads untrusted bytes as they were sent. It rejects addresses, names that DNS cannot represent, several names, and
// violations of TLS or HTTP. It resolves nothing, keeps nothing, and does not verify names: a client may send any name.
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
	// ErrMalformed is returned for violations of the protocol or of the rules for host names.
	ErrMalformed = errors.New("malformed server name")
	// ErrAddress is returned if the client names the server by its address.
	ErrAddress = errors.New("an address, not a name")
)

// The longest name and label in DNS, as text.
const (
	maxName  = 253
	maxLabel = 63
)

// FromTLS returns the host in the body of a server_name extension, in lower case without a trailing dot. Errors:
// [ErrMalformed], [ErrAddress].
func FromTLS(extension []byte) (string, error) {
	const hostName = 0 // the only type
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

// FromHTTP returns the host in the value of a Host header, with or without a port, in lower case without a trailing
// dot. Errors: [ErrMalformed], [ErrAddress].
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

// canonical returns the canonical form of a host name.
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

// isLabel reports whether s is a label of a host name: letters, digits and hyphens (RFC 1123), and underscores, which
// occur in practice.
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
