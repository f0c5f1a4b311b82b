package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Results are those of a run at one time. They do not change.
type Results struct {
	Version string // differs from those of other results
	Run     page.Run
}

// Handler returns what serves results: the page at "/", and "/api/version", "/api/flows", "/api/policies" and
// "/metrics". It calls current for each request, from several goroutines at once. As long as that returns the same
// pointer, the page is made once. Layout may be nil, as for [page.Render].
func Handler(current func() *Results, layout page.Layout) http.Handler {
	h := &handler{load: current, layout: layout}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page)
	mux.HandleFunc("GET /api/version", h.version)
	mux.HandleFunc("GET /api/flows", h.flows)
	mux.HandleFunc("GET /api/policies", h.policies)
	mux.HandleFunc("GET /metrics", h.metrics)
	return mux
}

type handler struct {
	load   func() *Results
	layout page.Layout

	mu   sync.Mutex
	last *shown
}

// shown is results with what is made of them when it is needed.
type shown struct {
	*Results
	page     func() ([]byte, error)
	flows    func() []page.Flow
	policies func() []page.PolicyFile
	metrics  func() []byte
}

// current returns the results of now.
func (h *handler) current() *shown {
	r := h.load()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil || h.last.Results != r {
		h.last = &shown{
			Results: r,
			page: sync.OnceValues(func() ([]byte, error) {
				var text bytes.Buffer
				err := page.RenderLive(&text, r.Run, h.layout, r.Version)
				return text.Bytes(), err
			}),
			flows:    sync.OnceValue(func() []page.Flow { return page.Flows(r.Run) }),
			policies: sync.OnceValue(func() []page.PolicyFile { return page.Policies(r.Run) }),
			metrics:  sync.OnceValue(func() []byte { return metrics(r.Run) }),
		}
	}
	return h.last
}

// write answers with a text. A client that has it gets no text again.
func (s *shown) write(w http.ResponseWriter, r *http.Request, contentType string, text []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("ETag", `"`+s.Version+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	s := h.current()
	text, err := s.page()
	if err != nil {
		http.Error(w, "make the page: "+report.Line(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", page.LivePolicy())
	s.write(w, r, "text/html; charset=utf-8", text)
}

// answer is what all answers in JSON have. Its texts hold no control characters.
type answer struct {
	Version string   `json:"version"` // of the results: another one is another state
	Unread  []string `json:"unread"`  // a line for each recording that could not be read or compared; never null
}

func (s *shown) answer() answer {
	a := answer{s.Version, []string{}}
	for _, text := range s.Run.Unread {
		a.Unread = append(a.Unread, report.Line(text))
	}
	return a
}

// writeJSON answers with a value.
func (s *shown) writeJSON(w http.ResponseWriter, r *http.Request, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		writeError(w, http.StatusInternalServerError, err)
		return
	}
	s.write(w, r, "application/json", append(text, '\n'))
}

// writeError answers with an error as JSON.
func writeError(w http.ResponseWriter, status int, err error) {
	text, _ := json.Marshal(map[string]string{"error": report.Line(err.Error())}) // a map of strings always can be
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client may have gone
}

func (h *handler) version(w http.ResponseWriter, r *http.Request) {
	s := h.current()
	s.writeJSON(w, r, s.answer())
}

func (h *handler) flows(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.RawQuery)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	s := h.current()
	flows := []page.Flow{}
	for _, one := range s.flows() {
		if f.matches(one) {
			flows = append(flows, one)
		}
	}
	s.writeJSON(w, r, struct {
		answer
		Flows []page.Flow `json:"flows"`
	}{s.answer(), flows})
}

func (h *handler) policies(w http.ResponseWriter, r *http.Request) {
	s := h.current()
	s.writeJSON(w, r, struct {
		answer
		Files []page.PolicyFile `json:"files"`
	}{s.answer(), s.policies()})
}

// filter selects flows, by the name of a parameter. A flow has to match one of the values of each.
type filter map[string][]string

// parameters are what a filter may have, and whether a flow matches a value.
var parameters = map[string]func(page.Flow, string) bool{
	"workload": func(f page.Flow, name string) bool {
		return slices.ContainsFunc([]page.End{f.Source, f.Destination}, func(e page.End) bool {
			return e.Kind == flow.Workload.String() && e.Name == name
		})
	},
	"verdict": func(f page.Flow, name string) bool { return f.Verdict == name },
	"package": func(f page.Flow, path string) bool {
		return slices.ContainsFunc(f.Tests, func(o page.Observation) bool { return o.Package == path })
	},
}

// parseFilter reads the query of a request. An unknown parameter or verdict is an error, because it would select other
// flows than the client wants.
func parseFilter(query string) (filter, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if parameters[name] == nil {
			known := strings.Join(slices.Sorted(maps.Keys(parameters)), ", ")
			return nil, fmt.Errorf("unknown parameter %q: the parameters are %s", name, known)
		}
	}
	for _, verdict := range values["verdict"] {
		if known := page.Verdicts(); !slices.Contains(known, verdict) {
			return nil, fmt.Errorf("unknown verdict %q: the verdicts are %s", verdict, strings.Join(known, ", "))
		}
	}
	return filter(values), nil
}

func (f filter) matches(one page.Flow) bool {
	for name, values := range f {
		if !slices.ContainsFunc(values, func(value string) bool { return parameters[name](one, value) }) {
			return false
		}
	}
	return true
}

func (h *handler) metrics(w http.ResponseWriter, r *http.Request) {
	s := h.current()
	s.write(w, r, "text/plain; version=0.0.4; charset=utf-8", s.metrics())
}

// metrics returns the results in Prometheus' text format, and how many recordings they lack.
func metrics(run page.Run) []byte {
	var results []report.Result
	for _, r := range run.Results {
		results = append(results, r.Result)
	}
	const unread = "# HELP netzero_recordings_unread Recordings that could not be read or compared. " +
		"The other metrics lack them.\n# TYPE netzero_recordings_unread gauge\nnetzero_recordings_unread %d\n"
	return fmt.Appendf(report.Prometheus(results), unread, len(run.Unread))
}
