// Package page shows the results of a run: who sent to whom, with the evidence for each flow, what the committed
// policies decide, and what is new since they were committed. [Render] writes them as one HTML file for a browser.
// [RenderLive] writes the page of a server, which updates itself. [Flows] and [Policies] return the same results for
// JSON.
//
// The file needs no network and no other file, and its Content-Security-Policy permits neither. Its own script and
// style are the only ones that may run, by their hashes. All data is text: names of a recording are escaped, and the
// script inserts them as text only. Without a script the first flows, the matrix and the policies are still readable.
// The same results give the same bytes.
//
// The package opens no file and decides nothing: package check has compared the recordings with the policies.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
)

// Run is the results of the recordings of a run, in the order in which the page lists them.
type Run struct {
	Results []Result
	// Unread has a line for each recording that could not be read or compared, with the reason. A run for a file has
	// none.
	Unread []string
}

// Result is the result of one recording.
type Result struct {
	report.Result
	File recording.File // the recording: when it started, and the rules that allowed its flows
}

var (
	//go:embed page.html
	document string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
	//go:embed live.js
	liveScript string

	parsed = template.Must(template.New("page").Funcs(template.FuncMap{
		"number": number, "thousands": func(n int) string { return number(uint64(n)) },
	}).Parse(document))
)

// view is what the template shows.
type view struct {
	Policy   string // the Content-Security-Policy
	Style    template.CSS
	Script   template.JS
	Subtitle string
	*model
	Graph  *drawing // nil without a layout
	Matrix matrix
	Data   data
	Unread []string
	Live   *live // nil in a file
}

// live is what only the page of a server has.
type live struct {
	Version string // of the results
	Script  template.JS
}

// Render writes the page. With a layout it has a graph; without one it begins with the matrix. It returns the layout's
// errors, and an error if the positions do not fit the graph. Then nothing is written.
func Render(w io.Writer, run Run, layout Layout) error { return render(w, run, layout, nil) }

// RenderLive writes the page of a server, as [Render] does, but with a script that reads "api/version" each second: an
// object with the string "version". If it differs from this version, the script reads the page again and updates this
// one. It keeps the filter, the order, what is unfolded, the focus and the scroll position.
func RenderLive(w io.Writer, run Run, layout Layout, version string) error {
	return render(w, run, layout, &live{version, template.JS(liveScript)})
}

// LivePolicy returns the Content-Security-Policy of the page of a server. It permits the page to read from its server,
// and no page to frame it.
func LivePolicy() string { return policy(true) + "; frame-ancestors 'none'" }

// policy returns the Content-Security-Policy of a page, as an element of the page can state it.
func policy(isLive bool) string {
	scripts, connect := hash(script), ""
	if isLive {
		scripts, connect = scripts+" "+hash(liveScript), "; connect-src 'self'"
	}
	return "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + hash(style) + "; script-src " +
		scripts + connect
}

func render(w io.Writer, run Run, layout Layout, served *live) error {
	m := newModel(run)
	v := view{
		Policy: policy(served != nil), Style: template.CSS(style), Script: template.JS(script),
		Subtitle: subtitle(run, m), model: m, Matrix: newMatrix(m), Data: newData(m), Unread: lines(run.Unread),
		Live: served,
	}
	if layout != nil && len(m.Rows) > 0 {
		var err error
		if v.Graph, err = draw(m, layout); err != nil {
			return fmt.Errorf("draw graph: %w", err)
		}
	}
	var page bytes.Buffer
	if err := parsed.Execute(&page, v); err != nil {
		return err
	}
	_, err := w.Write(page.Bytes())
	return err
}

// hash returns the source expression of a Content-Security-Policy for a text between its tags.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// subtitle says what was recorded, and when.
func subtitle(run Run, m *model) string {
	packages := make(map[string]bool)
	for _, r := range run.Results {
		packages[r.Package] = true
	}
	text := count(len(run.Results), "recording") + " of " + count(len(packages), "package")
	if !m.started.IsZero() {
		text += ", begun " + moment(m.started)
	}
	return text
}
