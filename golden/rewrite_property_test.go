package golden

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	yamlv3 "go.yaml.in/yaml/v3"

	npolicy "github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// TestRewrite_MinimalChange writes policies of random flows, edits their text as people do, and merges other flows
// into them. Rules that were allowed and are still needed keep their text, and a second update changes no byte.
func TestRewrite_MinimalChange(t *testing.T) {
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 7))
		scope := npolicy.Scope{Subjects: []npolicy.Subject{{Workload: npolicy.Workload{Name: "shop"}},
			{Workload: npolicy.Workload{Name: "db"}, AllTraffic: true}}}
		before, after := drawFlows(r), drawFlows(r)
		if scope.Binaries = seed%2 == 0; scope.Binaries {
			drawBinaries(seed, before)
			drawBinaries(seed+1, after)
		}
		t.Run(fmt.Sprintf("kubernetes/%d", seed), func(t *testing.T) {
			checkUpdate(t, r, npolicy.As[Policy](networkpolicy.Dialect{Scope: scope}), before, after)
		})
		t.Run(fmt.Sprintf("cilium/%d", seed), func(t *testing.T) {
			checkUpdate(t, r, npolicy.As[Policy](ciliumpolicy.Dialect{Scope: scope}), before, after)
		})
	}
}

func drawFlows(r *rand.Rand) []flow.Flow {
	shop, db := flow.Endpoint{Kind: flow.Workload, Name: "shop"}, flow.Endpoint{Kind: flow.Workload, Name: "db"}
	all := []flow.Flow{{Source: shop, Destination: db, Protocol: flow.TCP, Port: 5432},
		{Source: db, Destination: shop, Protocol: flow.TCP, Port: 8080}}
	for _, port := range []uint16{80, 443, 8443} {
		for _, d := range []flow.Endpoint{
			{Kind: flow.Workload, Name: "cache"}, {Kind: flow.Workload, Name: "y", Namespace: "on"},
			{Kind: flow.Address, Addr: netip.MustParseAddr("203.0.113.9")},
			{Kind: flow.External, Name: "api.pay.test", Addr: netip.MustParseAddr("198.51.100.7")},
			{Kind: flow.External, Name: "hooks.pay.test"},
			{Kind: flow.Address, Addr: netip.MustParseAddr("2001:db8::1")}, {Kind: flow.Address, Addr: flow.MetadataService},
		} {
			all = append(all, flow.Flow{Source: shop, Destination: d, Protocol: flow.TCP, Port: port},
				flow.Flow{Source: db, Destination: d, Protocol: flow.UDP, Port: port})
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:r.IntN(14)]
}

// drawBinaries draws the programs that opened the flows.
func drawBinaries(seed uint64, flows []flow.Flow) {
	r := rand.New(rand.NewPCG(seed, 11))
	for i := range flows {
		flows[i].Binaries = [][]string{nil, {"curl"}, {"curl", "psql"}, {"%2A"}, {"true"}, {"7"}}[r.IntN(6)]
	}
}

// checkUpdate writes the policies of the flows before, edits them, and updates them for the flows after.
func checkUpdate(t *testing.T, r *rand.Rand, d npolicy.Dialect[Policy], before, after []flow.Flow) {
	header := Header{Test: "TestShop", Command: "go test ."}
	generated := d.Generate(before)
	text, err := Format(header, generated)
	if err != nil {
		t.Fatal(err)
	}
	edited := editText(t, r, string(text))
	file := mustParse(t, edited)
	for i, p := range file.Policies {
		if !same(p, generated[i]) {
			t.Fatalf("the edits changed what policy %s says:\n%s", p.GetName(), edited)
		}
	}
	merged := d.Merge(file.Policies, after)
	updated, err := file.Rewrite(header, merged)
	if err != nil {
		t.Fatalf("%v\n%s", err, edited)
	}
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf(format, args...)
		t.Fatalf("edited:\n%s\nupdated:\n%s", edited, updated)
	}
	again := mustParse(t, string(updated))
	for i, p := range again.Policies {
		if string(encode(strip(p))) != string(encode(strip(merged[i]))) {
			fail("policy %s is not what was merged", p.GetName())
		}
	}
	second, err := again.Rewrite(header, d.Merge(again.Policies, after))
	if err != nil || string(second) != string(updated) {
		fail("a second update changes it (%v):\n%s", err, second)
	}
	for _, p := range merged {
		old := slices.IndexFunc(file.Policies, func(q Policy) bool { return q.GetName() == p.GetName() })
		if old < 0 {
			continue
		}
		kept, whole := rulesByText(p), string(encode(mustTree(t, string(encode(strip(p))))))
		for rule, chunk := range chunks(file.documents[old].Body) {
			isAliased := strings.Contains(chunk, " &same") || strings.Contains(chunk, " *same") // and may have been written out
			if kept[rule] && !isAliased && !strings.Contains(string(updated), chunk) {
				fail("the rule stays, but its text does not:\n%s", chunk)
			}
			comment, _, _ := strings.Cut(chunk, "\n")
			if peers := peersOf(mustTree(t, rule)); peers != "" && !strings.Contains(whole, peers[1:len(peers)-1]) &&
				strings.Contains(string(updated), comment+"\n") {
				fail("no rule for %s remains, but its comment %q does", peers, comment)
			}
		}
	}
}

// editText changes the style of a text, but not its content.
func editText(t *testing.T, r *rand.Rand, text string) string {
	t.Helper()
	var documents []string
	for i, body := range strings.Split(text, "---\n") {
		var document yamlv3.Node
		if err := yamlv3.Unmarshal([]byte(body), &document); err != nil {
			t.Fatal(err)
		}
		comments := 0
		aliased := r.IntN(3) == 0
		if aliased {
			alias(document.Content[0])
		}
		restyle(r, document.Content[0], true, aliased, false, i, &comments)
		var b strings.Builder
		encoder := yamlv3.NewEncoder(&b)
		encoder.SetIndent(2 + r.IntN(3))
		if r.IntN(2) == 0 {
			encoder.CompactSeqIndent()
		}
		if err := encoder.Encode(&document); err != nil {
			t.Fatal(err)
		}
		edited := b.String()
		if r.IntN(2) == 0 { // a blank line before each rule
			var spaced strings.Builder
			for line := range strings.Lines(edited) {
				if strings.HasPrefix(strings.TrimLeft(line, " "), "# rule") {
					spaced.WriteString("\n")
				}
				spaced.WriteString(line)
			}
			edited = spaced.String()
		}
		documents = append(documents, edited)
	}
	return strings.Join(documents, "--- # next\n# of the next\n")
}

// restyle turns blocks into brackets, quotes values, puts comments on rules, and fields into another order.
func restyle(r *rand.Rand, n *yamlv3.Node, isRoot, aliased, inFlow bool, document int, comments *int) {
	if n.Kind == yamlv3.ScalarNode && n.Tag == "!!str" && r.IntN(3) == 0 {
		n.Style = []yamlv3.Style{yamlv3.SingleQuotedStyle, yamlv3.DoubleQuotedStyle}[r.IntN(2)]
	}
	if n.Kind == yamlv3.MappingNode && !isRoot && !aliased && r.IntN(4) == 0 {
		for i := len(n.Content)/2 - 1; i > 0; i-- {
			j := r.IntN(i + 1)
			n.Content[2*i], n.Content[2*j] = n.Content[2*j], n.Content[2*i]
			n.Content[2*i+1], n.Content[2*j+1] = n.Content[2*j+1], n.Content[2*i+1]
		}
	}
	for i := 0; i < len(n.Content); i++ {
		child := n.Content[i]
		isRules := n.Kind == yamlv3.MappingNode && i%2 == 1 &&
			(n.Content[i-1].Value == "egress" || n.Content[i-1].Value == "ingress")
		if isRules && !inFlow && child.Style&yamlv3.FlowStyle == 0 {
			for _, rule := range child.Content {
				if r.IntN(2) == 0 {
					rule.HeadComment = fmt.Sprintf("# rule %d.%d\n# goes on", document, *comments)
					*comments++
				}
			}
		}
		if child.Kind != yamlv3.ScalarNode && len(child.Content) > 0 && !isRules && n.Kind != yamlv3.DocumentNode &&
			r.IntN(6) == 0 {
			child.Style = yamlv3.FlowStyle
		}
		restyle(r, child, false, aliased, inFlow || child.Style&yamlv3.FlowStyle != 0, document, comments)
	}
}

// alias replaces repeated values by aliases.
func alias(root *yamlv3.Node) {
	seen, anchors := make(map[string]*yamlv3.Node), 0
	var walk func(n *yamlv3.Node)
	walk = func(n *yamlv3.Node) {
		for i, child := range n.Content {
			if child.Kind == yamlv3.ScalarNode || child.HeadComment != "" {
				continue
			}
			text, err := yamlv3.Marshal(child)
			first := seen[string(text)]
			switch {
			case err != nil:
			case first == nil:
				seen[string(text)] = child
				walk(child)
			default:
				if first.Anchor == "" {
					anchors++
					first.Anchor = fmt.Sprintf("same%d", anchors)
				}
				n.Content[i] = &yamlv3.Node{Kind: yamlv3.AliasNode, Alias: first, Value: first.Anchor}
			}
		}
	}
	walk(root)
}

// chunks returns the text of each commented rule with its comment, by content.
func chunks(body string) map[string]string {
	found := make(map[string]string)
	lines := strings.SplitAfter(body, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(strings.TrimLeft(line, " "), "# rule") {
			continue
		}
		indent := strings.Repeat(" ", len(line)-len(strings.TrimLeft(line, " ")))
		end := i + 3 // two lines of comment, and the one with the dash
		for end < len(lines) && strings.HasPrefix(lines[end], indent+" ") {
			end++
		}
		chunk := strings.Join(lines[i:end], "")
		var parsed []any
		if yamlv3.Unmarshal([]byte(chunk), &parsed) == nil && len(parsed) == 1 {
			found[string(encode(parsed[0]))] = chunk
		}
	}
	return found
}

func rulesByText(p Policy) map[string]bool {
	rules := make(map[string]bool)
	var tree map[string]any
	if yamlv3.Unmarshal(encode(strip(p)), &tree) != nil {
		return nil
	}
	spec, _ := tree["spec"].(map[string]any)
	for _, direction := range []string{"egress", "ingress"} {
		list, _ := spec[direction].([]any)
		for _, rule := range list {
			rules[string(encode(rule))] = true
		}
	}
	return rules
}

func mustTree(t *testing.T, text string) any {
	t.Helper()
	var tree any
	if err := yamlv3.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}
