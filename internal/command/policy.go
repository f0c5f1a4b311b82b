package command

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/hubble"
	"github.com/netzero-dev/netzero/internal/merge"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
)

var policyCommand = subcommand{
	name:    "policy",
	args:    "RECORDING...",
	summary: "Makes network policies of recordings, and prints them or writes them to a file.",
	help: `A recording is a file that NETZERO_RECORDINGS=DIR makes tests write, or a directory of
them: of the shards of a run, of several packages, of several machines. Their flows add up.
An export of Hubble (hubble observe -o jsonpb) is one, too; "-" is one on standard input.
The options of the tests count; flags add to them.

Without -manifests, workloads keep the labels, namespaces and ports of the recordings.
Incomplete recordings, and those of failed tests, are refused.

Exit status: 0 if the policies are written, 1 if they cannot be made, 2 for wrong arguments.`,
	run: runPolicy,
}

func runPolicy(c *call) int {
	var p placeFlags
	p.declare(c.flags)
	output := c.flags.String("o", "", "write the policies to this `file`")
	update := c.flags.Bool("update", false, "with -o: keep what people wrote into the file, and remove what no recording "+
		"used")
	if status, ok := c.parse(); !ok {
		return status
	}
	switch {
	case c.flags.NArg() == 0:
		return c.refuse(statusUsage, errors.New("no recordings; NETZERO_RECORDINGS=DIR makes tests write them to DIR"))
	case *update && *output == "":
		return c.refuse(statusUsage, errors.New("-update needs -o: name the file to update"))
	}
	u, err := p.unite(p.chosenDialect(c.flags), c.flags.Args())
	if err != nil {
		return c.refuse(statusFailed, err)
	}
	accept := ""
	if *output != "" {
		accept = c.acceptPolicy(*update)
	}
	if *update {
		err = updateFile(c, u, *output, accept)
	} else {
		err = writePolicies(c, u, *output, accept)
	}
	if err != nil {
		return c.refuse(statusFailed, err)
	}
	if len(u.Partial) > 0 {
		c.note("these tests were skipped, or may have run in part, so the policies may lack what they need: %s",
			strings.Join(u.Partial, ", "))
	}
	notes := report.Report{
		Test: describeTests(u.Tests), Golden: cmp.Or(*output, "on standard output"), Notices: u.Placed.Notices,
	}.Notes()
	if notes != "" {
		fmt.Fprintln(c.stderr, notes)
	}
	return statusOK
}

// acceptPolicy returns the command for the header of a file of policies. It names no recordings, because those of the
// next run have other paths.
func (c *call) acceptPolicy(hasUpdate bool) string {
	words := []string{"go tool netzero", c.name}
	if !hasUpdate {
		words = append(words, "-update")
	}
	for _, word := range c.arguments[:len(c.arguments)-c.flags.NArg()] {
		words = append(words, quote(word))
	}
	return strings.Join(append(words, "RECORDING..."), " ")
}

// writePolicies writes policies to a new file, or to standard output for an empty path.
func writePolicies(c *call, u check.Union, path, accept string) error {
	text, err := u.Format(accept)
	if err != nil {
		return err
	}
	if path == "" {
		_, err = c.stdout.Write(text)
		return err
	}
	return golden.Write(path, text)
}

// updateFile updates a file of policies, and says what it keeps although no recording used it.
func updateFile(c *call, u check.Union, path, accept string, packages ...check.Package) error {
	updated, err := u.Update(path, accept, packages...)
	if err != nil {
		return err
	}
	if updated.Changed {
		c.note("wrote %s", path)
	}
	for _, unused := range updated.Unused {
		c.note("%s: unused, but kept: %s", path, unused)
	}
	if len(updated.Unused) > 0 {
		c.noteMissing(path, updated.Missing)
	}
	if len(updated.Denied) > 0 {
		return fmt.Errorf("%s: an update keeps deny rules, and they deny recorded flows; remove the rules by hand: %s",
			path, strings.Join(updated.Denied, "; "))
	}
	return nil
}

// noteMissing prints the tests that a file lists and that did not record completely.
func (c *call) noteMissing(path string, missing []string) {
	for _, test := range missing {
		c.note("%s lists %s, which has no complete recording: if it no longer exists, remove that line from the "+
			"file", path, test)
	}
}

// note prints a line on standard error.
func (c *call) note(format string, args ...any) {
	fmt.Fprintf(c.stderr, "netzero %s: %s\n", c.name, report.Line(fmt.Sprintf(format, args...)))
}

// describeTests returns the test, or the number of tests.
func describeTests(tests []string) string {
	switch len(tests) {
	case 0:
		return "recorded traffic"
	case 1:
		return tests[0]
	}
	return fmt.Sprintf("%d tests", len(tests))
}

// placeFlags are the flags that place recordings in the cluster.
type placeFlags struct {
	manifests []string
	namespace string
	cilium    bool
	options   recording.Options
	hubble    hubble.Options
}

// declarePlace declares the flags that every command with recordings has.
func (p *placeFlags) declarePlace(flags *flag.FlagSet) {
	list(flags, &p.manifests, "manifests", "take labels, namespaces and ports from this `file`, pattern or directory "+
		"of Kubernetes manifests; repeatable")
	flags.StringVar(&p.namespace, "namespace", "", "the `namespace` of workloads that have none")
	declareDropped(flags, &p.hubble)
	list(flags, &p.options.Ignore, "ignore", "leave out this `destination`, as the option Ignore does; repeatable")
	flags.BoolVar(&p.options.Binaries, "binaries", false, "policies list programs, as with the option Binaries")
}

// declare declares the flags of the options with which new policies are written.
func (p *placeFlags) declare(flags *flag.FlagSet) {
	p.declarePlace(flags)
	flags.BoolVar(&p.cilium, "cilium", false, "write CiliumNetworkPolicies; the default is the kind of the tests")
	list(flags, &p.options.FoldNames, "fold", "write external hosts that match this `pattern` as the pattern, as the "+
		"option FoldNames does; repeatable")
	list(flags, &p.options.Ports, "ports", "the `ports` of a workload, as the option Ports has them: ftp:30000-30009; "+
		"repeatable")
	flags.BoolVar(&p.options.CloseIngress, "close-ingress", false, "deny ingress to containers without a caller")
	flags.BoolVar(&p.options.DefaultDeny, "default-deny", false, "add the policy default-deny-all to each namespace")
}

// list declares a flag that may be given several times.
func list(flags *flag.FlagSet, values *[]string, name, usage string) {
	flags.Func(name, usage, func(value string) error {
		if value == "" {
			return errors.New("is empty")
		}
		*values = append(*values, value)
		return nil
	})
}

// chosenDialect returns the dialect that the flag -cilium chooses, or "" without the flag.
func (p *placeFlags) chosenDialect(flags *flag.FlagSet) (dialect golden.Dialect) {
	flags.Visit(func(f *flag.Flag) {
		if f.Name != "cilium" {
			return
		}
		dialect = golden.Kubernetes
		if p.cilium {
			dialect = golden.Cilium
		}
	})
	return dialect
}

// unite reads recordings and places them as the flags say, for policies of a dialect. An empty one means that of the
// tests.
func (p *placeFlags) unite(dialect golden.Dialect, paths []string) (check.Union, error) {
	manifests, err := readManifests(p.manifests)
	if err != nil {
		return check.Union{}, err
	}
	sources, err := readRecordings(paths, p.hubble)
	if err != nil {
		return check.Union{}, err
	}
	return merge.Unite(sources, merge.Options{
		Manifests: manifests, Namespace: p.namespace, Dialect: dialect, Added: p.options,
	})
}
