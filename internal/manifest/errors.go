package manifest

import (
	"fmt"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// PatternError means that a pattern matches no file.
type PatternError struct {
	Pattern string
	Dir     string // the base of a relative pattern
	Problem string
}

func (e *PatternError) Error() string {
	return fmt.Sprintf("read manifests: pattern %q %s; patterns are relative to %s", e.Pattern, e.Problem, e.Dir)
}

// InvalidError describes a mistake in a manifest, its place, and the fix.
type InvalidError struct {
	File     string // relative to the directory that was read, with slashes
	Document int    // counts documents with content, from 1; 0 if the whole file is invalid
	Line     int    // in the file, from 1; 0 if unknown
	Field    string // such as "spec.selector.matchLabels"; empty if no field is at fault
	Problem  string
	Advice   string
}

func (e *InvalidError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "read manifests: %s: ", e.File)
	if e.Document > 0 {
		fmt.Fprintf(&b, "document %d", e.Document)
		if e.Line > 0 {
			fmt.Fprintf(&b, ", line %d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Problem + "; " + e.Advice)
	return b.String()
}

// NotFoundError means that no Service and no workload has the name.
type NotFoundError struct {
	Name, Namespace string   // as requested
	Nearest         string   // the similar name among Names; empty if there is none
	Names           []string // the existing names, sorted, as "orders-db" or "orders-db.shop"
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("find %q in the manifests: no Service and no workload has that name", e.Name)
	if e.Namespace != "" {
		text += " in namespace " + e.Namespace
	}
	if len(e.Names) == 0 {
		return text + ": they contain no Service and no workload; name the files that do"
	}
	if e.Nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Nearest)
	} else {
		text += "; use one that exists, or add its manifest."
	}
	return text + " There are " + strings.Join(e.Names, ", ")
}

// AmbiguousError means that a name matches several objects.
type AmbiguousError struct {
	Name       string
	Candidates []string // such as "Service orders-db in namespace shop (deploy/orders.yaml:12)"
	Advice     string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("find %q in the manifests: that is %s; %s", e.Name, strings.Join(e.Candidates, ", or "),
		e.Advice)
}

// UnusableError means that the object has no pods that a NetworkPolicy could select, and no addresses instead.
type UnusableError struct {
	Name   string
	Object string // such as "Service orders-db in namespace shop (deploy/orders.yaml:12)"
	Reason string
	Advice string
}

func (e *UnusableError) Error() string {
	return fmt.Sprintf("find %q in the manifests: %s: %s; %s", e.Name, e.Object, e.Reason, e.Advice)
}

// PortError means that neither a Service nor its pods have the port.
type PortError struct {
	Object   string // such as "Service orders-db in namespace shop (deploy/orders.yaml:12)"
	Port     uint16
	Protocol flow.Protocol
	Reason   string
	Advice   string
}

func (e *PortError) Error() string {
	return fmt.Sprintf("find port %d/%s: %s: %s; %s", e.Port, e.Protocol, e.Object, e.Reason, e.Advice)
}
