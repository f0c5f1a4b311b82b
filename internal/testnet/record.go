package testnet

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// parseRecord parses a record in the syntax of [Zone.Add].
func parseRecord(record string) (name string, body dnsmessage.ResourceBody, err error) {
	fields := strings.Fields(record)
	if len(fields) < 3 {
		return "", nil, fmt.Errorf("want NAME TYPE VALUE")
	}
	name = canonical(fields[0])
	if _, err := dnsmessage.NewName(name); err != nil || name == "." {
		return "", nil, fmt.Errorf("bad name %q", fields[0])
	}
	kind, values := strings.ToUpper(fields[1]), fields[2:]
	parse, known := parsers[kind]
	if !known {
		return "", nil, fmt.Errorf("type is none of A, AAAA, CNAME, HTTPS, PTR, SRV")
	}
	body, err = parse(values)
	return name, body, err
}

// parsers parse the values after a type.
var parsers = map[string]func(values []string) (dnsmessage.ResourceBody, error){
	"A":     parseAddress(true),
	"AAAA":  parseAddress(false),
	"CNAME": parseAlias,
	"HTTPS": parseHTTPS,
	"PTR":   parsePointer,
	"SRV":   parseSRV,
}

func parseAddress(is4 bool) func(values []string) (dnsmessage.ResourceBody, error) {
	return func(values []string) (dnsmessage.ResourceBody, error) {
		if len(values) != 1 {
			return nil, fmt.Errorf("want one address")
		}
		address, err := netip.ParseAddr(values[0])
		switch {
		case err != nil:
			return nil, err
		case address.Is4() != is4:
			return nil, fmt.Errorf("address of the wrong family")
		case is4:
			return &dnsmessage.AResource{A: address.As4()}, nil
		}
		return &dnsmessage.AAAAResource{AAAA: address.As16()}, nil
	}
}

func parseAlias(values []string) (dnsmessage.ResourceBody, error) {
	if len(values) != 1 {
		return nil, fmt.Errorf("want one name")
	}
	alias, err := parseName(values[0])
	return &dnsmessage.CNAMEResource{CNAME: alias}, err
}

func parsePointer(values []string) (dnsmessage.ResourceBody, error) {
	if len(values) != 1 {
		return nil, fmt.Errorf("want one name")
	}
	name, err := parseName(values[0])
	return &dnsmessage.PTRResource{PTR: name}, err
}

func parseSRV(values []string) (dnsmessage.ResourceBody, error) {
	if len(values) != 4 {
		return nil, fmt.Errorf("want PRIORITY WEIGHT PORT NAME")
	}
	var numbers [3]uint16
	for i := range numbers {
		n, err := strconv.ParseUint(values[i], 10, 16)
		if err != nil {
			return nil, err
		}
		numbers[i] = uint16(n)
	}
	target, err := parseName(values[3])
	return &dnsmessage.SRVResource{Priority: numbers[0], Weight: numbers[1], Port: numbers[2], Target: target}, err
}

func parseHTTPS(values []string) (dnsmessage.ResourceBody, error) {
	if len(values) < 2 {
		return nil, fmt.Errorf("want PRIORITY NAME [ipv4hint=...] [ipv6hint=...]")
	}
	priority, err := strconv.ParseUint(values[0], 10, 16)
	if err != nil {
		return nil, err
	}
	target, err := parseName(values[1])
	if err != nil {
		return nil, err
	}
	record := new(dnsmessage.HTTPSResource)
	record.Priority, record.Target = uint16(priority), target
	for _, param := range values[2:] {
		key, list, _ := strings.Cut(param, "=")
		code, known := map[string]dnsmessage.SVCParamKey{"ipv4hint": dnsmessage.SVCParamIPv4Hint,
			"ipv6hint": dnsmessage.SVCParamIPv6Hint}[key]
		if !known {
			return nil, fmt.Errorf("parameter %q is none of ipv4hint, ipv6hint", key)
		}
		var hints []byte
		for text := range strings.SplitSeq(list, ",") {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return nil, err
			}
			if address.Is4() != (key == "ipv4hint") {
				return nil, fmt.Errorf("address of the wrong family")
			}
			hints = append(hints, address.AsSlice()...)
		}
		record.SetParam(code, hints)
	}
	return record, nil
}

func parseName(text string) (dnsmessage.Name, error) {
	name, err := dnsmessage.NewName(canonical(text))
	if err != nil {
		return name, fmt.Errorf("bad name %q", text)
	}
	return name, nil
}

func typeOf(body dnsmessage.ResourceBody) dnsmessage.Type {
	switch body.(type) {
	case *dnsmessage.AResource:
		return dnsmessage.TypeA
	case *dnsmessage.AAAAResource:
		return dnsmessage.TypeAAAA
	case *dnsmessage.HTTPSResource:
		return dnsmessage.TypeHTTPS
	case *dnsmessage.PTRResource:
		return dnsmessage.TypePTR
	case *dnsmessage.SRVResource:
		return dnsmessage.TypeSRV
	default:
		return dnsmessage.TypeCNAME
	}
}
