package cilium

import (
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// HTTPRule allows HTTP requests, as in Cilium's pkg/policy/api/http.go. Each field is a regular expression of RE2
// syntax, which has to match the whole value. A field that is empty matches everything.
type HTTPRule struct {
	Path   string `json:"path,omitempty"` // matches the path with its query: "/search?q=a"
	Method string `json:"method,omitempty"`
	Host   string `json:"host,omitempty"` // matches the Host header or :authority, with its port if that has one

	// Recordings have no headers, so [Validate] rejects these. Without the fields, the error could not say why.
	Headers       []string      `json:"headers,omitempty"`
	HeaderMatches []HeaderMatch `json:"headerMatches,omitempty"`
}

// HeaderMatch is a condition on a header.
type HeaderMatch struct {
	Mismatch string  `json:"mismatch,omitempty"`
	Name     string  `json:"name"`
	Secret   *Secret `json:"secret,omitempty"`
	Value    string  `json:"value,omitempty"`
}

// Secret refers to a Kubernetes secret that holds the value of a header.
type Secret struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// AllowsAll reports whether the rule matches every request.
func (r HTTPRule) AllowsAll() bool {
	return r.Path == "" && r.Method == "" && r.Host == "" && len(r.Headers)+len(r.HeaderMatches) == 0
}

// Allows reports whether the rule matches a request, as Cilium's proxy decides: uri is the path with the query, as
// sent. A rule with conditions on headers matches nothing, because headers are not recorded.
func (r HTTPRule) Allows(method, host, uri string) bool {
	return len(r.Headers)+len(r.HeaderMatches) == 0 &&
		matchesWhole(r.Path, uri) && matchesWhole(r.Method, method) && matchesWhole(r.Host, host)
}

// matchesWhole reports whether an expression is empty, or matches all of a text. An invalid one matches nothing.
func matchesWhole(expr, text string) bool {
	if expr == "" {
		return true
	}
	known, isKnown := wholes.Load(expr)
	if !isKnown {
		w := whole{compiled(expr), compiled(`\A(?:` + expr + `)\z`)}
		known, _ = wholes.LoadOrStore(expr, w)
	}
	return known.(whole).matches(text)
}

var wholes sync.Map // by expression

// whole is an expression, and the same one for a whole text. Both are nil for an invalid one.
type whole struct{ part, all *regexp.Regexp }

func (w whole) matches(text string) bool {
	if w.part == nil || w.all == nil {
		return false
	}
	prefix, _ := w.part.LiteralPrefix() // many rules differ in their first bytes
	return strings.HasPrefix(text, prefix) && w.all.MatchString(text)
}

// HTTPIndex finds those of many rules that allow a request, without comparing each.
type HTTPIndex struct {
	rules   []HTTPRule
	prefix  map[string][]int // their indexes, by the text with which the paths that a rule matches begin
	lengths []int            // of these texts
}

// NewHTTPIndex returns an index of rules.
func NewHTTPIndex(rules []HTTPRule) *HTTPIndex {
	x := &HTTPIndex{rules: rules, prefix: make(map[string][]int)}
	for i, r := range rules {
		prefix := ""
		if r.Path != "" {
			re := compiled(r.Path)
			if re == nil {
				continue // it matches nothing
			}
			prefix, _ = re.LiteralPrefix()
		}
		x.prefix[prefix] = append(x.prefix[prefix], i)
		if !slices.Contains(x.lengths, len(prefix)) {
			x.lengths = append(x.lengths, len(prefix))
		}
	}
	return x
}

// Allowing yields the index of each rule that allows a request; see [HTTPRule.Allows].
func (x *HTTPIndex) Allowing(method, host, uri string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, n := range x.lengths {
			if n > len(uri) {
				continue
			}
			for _, i := range x.prefix[uri[:n]] {
				if x.rules[i].Allows(method, host, uri) && !yield(i) {
					return
				}
			}
		}
	}
}

// validateHTTP validates the HTTP rules of a list of ports.
func validateHTTP(r PortRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	rules := path.Child("rules")
	if len(r.Rules.DNS) > 0 {
		errs = append(errs, field.Forbidden(rules, "dns and http cannot be in one entry: write an entry for each"))
	}
	for i, p := range r.Ports {
		port := path.Child("ports").Index(i)
		if p.Protocol != "TCP" {
			errs = append(errs, field.Invalid(port.Child("protocol"), p.Protocol, "HTTP rules are for TCP: write protocol: TCP"))
		}
		if n, isNumber := p.Number(); isNumber && n == 0 {
			errs = append(errs, field.Forbidden(port.Child("port"), "HTTP rules cannot be for every port, which port 0 means"))
		}
	}
	for i, rule := range r.Rules.HTTP {
		path := rules.Child("http").Index(i)
		for _, of := range []struct{ name, expr string }{
			{"path", rule.Path}, {"method", rule.Method}, {"host", rule.Host},
		} {
			if _, err := regexp.Compile(of.expr); err != nil {
				errs = append(errs, field.Invalid(path.Child(of.name), of.expr, fmt.Sprintf("not a regular expression: %v", err)))
			}
		}
		const notRecorded = "headers are not recorded, so no verdict can depend on them: " +
			"remove them, or move the policy to a file that tests do not read"
		if len(rule.Headers) > 0 {
			errs = append(errs, field.Forbidden(path.Child("headers"), notRecorded))
		}
		if len(rule.HeaderMatches) > 0 {
			errs = append(errs, field.Forbidden(path.Child("headerMatches"), notRecorded))
		}
	}
	return errs
}
