package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/hubble"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var checkCommand = subcommand{
	name:    "check",
	args:    "GOLDEN RECORDING...",
	summary: "Says which flows of recordings the policies of a file allow and deny, before anyone enforces them.",
	help: `GOLDEN is a file of policies. A recording is as in "netzero policy". Each flow is evaluated
with the semantics of Kubernetes, or of Cilium for CiliumNetworkPolicies. With a cluster's
traffic it says what the policies would deny:

  hubble observe --all -o jsonpb | netzero check deploy/policies.yaml -

Workloads that the file does not isolate are notices. If it isolates none of them, the check
fails: labels or namespaces differ.

Exit status: 0 if all flows are allowed, 1 if not, 2 if there is no answer.`,
	run: runCheck,
}

func runCheck(c *call) int {
	var p placeFlags
	p.hubble.Dropped = hubble.IncludeDropped // what was dropped shows what the cluster denies now
	p.declarePlace(c.flags)
	format := c.flags.String("format", "text", "`form` of the output: text or json")
	unused := c.flags.Bool("unused", false, "print only the rules that no flow used")
	if status, ok := c.parse(); !ok {
		return status
	}
	switch {
	case c.flags.NArg() < 2:
		return c.refuse(statusUsage, errors.New("name a file of policies, and recordings"))
	case *format != "text" && *format != "json":
		return c.refuse(statusUsage, fmt.Errorf("-format %s: is neither text nor json", *format))
	case *unused && *format == "json":
		return c.refuse(statusUsage, errors.New("-unused and -format json: JSON has the unused rules"))
	}
	path := c.flags.Arg(0)
	compared, err := p.compare(path, c.flags.Args()[1:])
	if err != nil {
		return c.refuse(statusUsage, err)
	}
	failed := compared.Report.Failed()
	switch {
	case *format == "json":
		err = writeVerdicts(c.stdout, compared)
	case *unused:
		failed = false
		for _, text := range compared.Report.Unused {
			if _, err = fmt.Fprintf(c.stdout, "%s: unused: %s\n", report.Line(path), report.Line(text)); err != nil {
				break
			}
		}
	default:
		_, err = io.WriteString(c.stdout, textOf(compared))
	}
	if err != nil {
		return c.refuse(statusUsage, fmt.Errorf("write verdicts: %w", err))
	}
	if len(compared.Report.Unused) > 0 {
		c.noteMissing(path, compared.Missing)
	}
	if failed {
		return statusFailed
	}
	return statusOK
}

// compare compares recordings with a file of policies.
func (p *placeFlags) compare(path string, recordings []string) (check.Compared, error) {
	if isDir(path) {
		return check.Compared{}, fmt.Errorf("%s is a directory: name a file of policies before the recordings", path)
	}
	file, err := golden.Read(path)
	if err != nil {
		return check.Compared{}, err
	}
	u, err := p.unite(file.Dialect, recordings)
	if err != nil {
		return check.Compared{}, err
	}
	compared := u.Compare(file)
	compared.Report.Test, compared.Report.Accept = describeTests(u.Tests), file.Header.Command
	return compared, nil
}

// textOf returns the report of a comparison. It is one line if all flows are allowed and there is nothing to note.
func textOf(c check.Compared) string {
	r := c.Report
	if r.Failed() {
		return r.String() + "\n"
	}
	text := fmt.Sprintf("netzero: %s: all flows are allowed (policy %s)\n", report.Line(r.Test), report.Line(r.Golden))
	if notes := r.Notes(); notes != "" {
		text += notes + "\n"
	}
	return text
}

// verdicts is the answer as JSON. Lists are sorted, and never null.
type verdicts struct {
	Golden  string             `json:"golden"`
	Allowed bool               `json:"allowed"` // the exit status is 0
	Flows   []verdict          `json:"flows"`
	Unused  []string           `json:"unused"` // rules
	Notices []recording.Notice `json:"notices"`
	// NotIsolated has all of the workloads if the file isolates none of them; otherwise it is empty.
	NotIsolated []string `json:"notIsolated"`
	Programs    []string `json:"programs"` // that opened allowed flows and are not listed, with -binaries
}

// verdict is a flow with the verdict of the policies.
type verdict struct {
	recording.Flow
	Implied bool   `json:"implied,omitempty"` // such as DNS queries for a name: no recording has it
	Verdict string `json:"verdict"`           // "allowed", "denied", "unprotected", "inexpressible"
	Policy  string `json:"policy,omitempty"`  // that allows it, or isolates the workload that it denies
	Reason  string `json:"reason,omitempty"`
}

func writeVerdicts(w io.Writer, c check.Compared) error {
	v := verdicts{
		Golden: c.Report.Golden, Allowed: !c.Report.Failed(), Flows: []verdict{}, Programs: []string{},
		Unused: append([]string{}, c.Report.Unused...), NotIsolated: append([]string{}, c.Report.Unprotected...),
		Notices: append([]recording.Notice{}, c.Report.Notices...),
	}
	for _, f := range c.Flows {
		one := recording.FromFlows([]flow.Flow{f.Flow})[0]
		v.Flows = append(v.Flows, verdict{one, f.Implied, f.Outcome.String(), f.Policy, f.Reason})
	}
	for _, b := range c.Report.Binaries {
		v.Programs = append(v.Programs, b.Notice())
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(printable(text.Bytes()))
	return err
}

// printable escapes the non-printable characters that package json leaves in a text, such as marks that change the
// direction of a text.
func printable(text []byte) []byte {
	var escaped []byte
	for _, r := range string(text) {
		switch {
		case r == '\n' || strconv.IsPrint(r):
			escaped = append(escaped, string(r)...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
	}
	return escaped
}
