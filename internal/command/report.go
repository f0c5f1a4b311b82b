package command

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/ci"
	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/hubble"
	"github.com/netzero-dev/netzero/internal/merge"
	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/page/graphlayout"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
)

var reportCommand = subcommand{
	name:    "report",
	args:    "RECORDING|DIR...",
	summary: "Compares recordings with the committed policies, and makes a page or a file for a CI system of the results.",
	help: `Run the tests with NETZERO_RECORDINGS=DIR, then this command in the module of the tests.
"netzero report -o netzero.html DIR" makes a page for a browser.
"netzero report -serve 127.0.0.1:0 DIR" prints the URL of the same page, which updates itself while
tests run. It serves /api/flows, /api/policies and /metrics too, and ends with Ctrl-C.
A directory stands for all recordings in it. Golden files are found by "go list".
Exit status: 0 if the results are written or served, also if policies deny flows; 2 otherwise.`,
	run: runReport,
}

// format writes the results of a run in one format.
type format struct {
	name  string
	write func(page.Run) ([]byte, error)
}

var formats = []format{
	{"markdown", ofReports(func(results []report.Result) ([]byte, error) {
		return []byte(report.Markdown(results)), nil
	})},
	{"html", func(run page.Run) ([]byte, error) {
		var text bytes.Buffer
		err := page.Render(&text, run, graphlayout.Layered)
		return text.Bytes(), err
	}},
	{"junit", ofReports(report.JUnit)},
	{"sarif", ofReports(report.SARIF)},
	{"prometheus", ofReports(func(results []report.Result) ([]byte, error) { return report.Prometheus(results), nil })},
}

// extensions are those of files, with the format that each has by default.
var extensions = map[string]string{".html": "html", ".prom": "prometheus"}

// ofReports returns the writer of a format that needs no more than the reports.
func ofReports(write func([]report.Result) ([]byte, error)) func(page.Run) ([]byte, error) {
	return func(run page.Run) ([]byte, error) {
		var results []report.Result
		for _, r := range run.Results {
			results = append(results, r.Result)
		}
		return write(results)
	}
}

func runReport(c *call) int {
	var known []string
	for _, f := range formats {
		known = append(known, f.name)
	}
	name := c.flags.String("format", "", "one of "+strings.Join(known, ", ")+
		"; by default html for a FILE that ends with .html, prometheus for .prom, and otherwise "+formats[0].name)
	out := c.flags.String("o", "", "write to this `FILE`, in one step, instead of standard output")
	dir := c.flags.String("C", ".", "the `DIR` in which \"go list\" finds the packages of the tests")
	address := c.flags.String("serve", "", "serve the results at this `ADDRESS` until interrupted, such as 127.0.0.1:0 "+
		"for any free port of loopback")
	if status, ok := c.parse(); !ok {
		return status
	}
	if *address != "" {
		return c.serveReport(*address, *name, *out, *dir)
	}
	if *name == "" {
		*name = cmp.Or(extensions[strings.ToLower(filepath.Ext(*out))], formats[0].name)
	}
	i := slices.Index(known, *name)
	switch {
	case i < 0:
		return c.refuse(statusUsage, fmt.Errorf("-format %q: is not one of %s", *name, strings.Join(known, ", ")))
	case c.flags.NArg() == 0:
		return c.refuse(statusUsage, errors.New("no recordings: name files or directories"))
	}
	text, err := reported(formats[i], c.flags.Args(), *dir)
	if err != nil {
		return c.refuse(statusUsage, err)
	}
	if *out == "" {
		_, err = c.stdout.Write(text)
	} else {
		err = recording.Replace(*out, text)
	}
	if err != nil {
		return c.refuse(statusUsage, fmt.Errorf("write report: %w", err))
	}
	return statusOK
}

// reported returns the results of recordings in a format, sorted by package and test.
func reported(f format, paths []string, dir string) ([]byte, error) {
	sources, err := readRecordings(paths, hubble.Options{})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(sources, func(a, b merge.Source) int { return compareTests(a.File, b.File) })
	packages, err := listPackages(dir, sources)
	if err != nil {
		return nil, err
	}
	var run page.Run
	for _, s := range sources {
		r, err := evaluate(s.File, packages[s.File.Package])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Path, err)
		}
		run.Results = append(run.Results, page.Result{Result: r, File: s.File})
	}
	relate(run.Results, packages)
	return f.write(run)
}

// compareTests orders recordings by package and test.
func compareTests(a, b recording.File) int {
	return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Test, b.Test), cmp.Compare(a.Golden, b.Golden))
}

// evaluate returns the result of a recording of a package.
func evaluate(v recording.File, p listedPackage) (report.Result, error) {
	golden := filepath.Join(p.Dir, filepath.FromSlash(v.Golden))
	tree := ci.TreeOf("", p.Dir, golden, gotest.Source(p.Dir).Places())
	isOutside := tree.Golden == ""
	if tree.Package == "" { // there is no repository
		isOutside = !filepath.IsLocal(filepath.FromSlash(v.Golden))
	}
	switch {
	case v.Golden == "":
		return report.Result{}, errors.New("it names no golden file, as an export of Hubble: compare it with a file by " +
			"netzero check")
	case isOutside:
		return report.Result{}, fmt.Errorf("golden file %q is outside of the repository", v.Golden)
	}
	o := check.Options{
		Package: check.Package{Dir: check.Dir(p.Dir), Path: v.Package}, Module: p.Module.Path,
		Golden: golden,
	}
	if v.Package != "" {
		accept := gotest.Command{Package: v.Package, Update: true}
		if !strings.HasPrefix(v.Test, "package ") {
			accept.Test, accept.Benchmark = v.Test, strings.HasPrefix(v.Test, "Benchmark")
		}
		o.Accept = accept.String()
	}
	found, flows, err := check.Evaluate(v, o)
	return report.Result{
		Report: found, Package: v.Package, Flows: flows, Losses: v.Recording.Losses, Tree: tree,
	}, err
}
