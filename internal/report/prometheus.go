package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Prometheus returns the results of a run as metrics in Prometheus' text format, version 0.0.4, by workload, sorted.
// A flow or rule that several recordings have counts once; a rule of a file that tests share counts for the workload of
// each. A workload of a recording has each metric, also if it is 0. The text ends with a line end.
//
// Reference: https://prometheus.io/docs/instrumenting/exposition_formats/
func Prometheus(results []Result) []byte {
	flows, denied, requests, refused := make(metric), make(metric), make(metric), make(metric)
	unused, lost := make(metric), make(metric)
	var seen, unexpected []flow.Flow
	type rule struct{ workload, golden, text string }
	counted := make(map[rule]bool)
	// Requests are only counted: their paths would be too many labels.
	type request struct{ source, target, text string }
	countedRequests := make(map[request]bool)
	for _, r := range results {
		workload := clean(r.Workload)
		flows[workload] += 0
		seen = append(seen, Named(r.Flows, r.Workload)...)
		for _, d := range r.Denied {
			named := Named([]flow.Flow{d.Flow}, r.Workload)[0]
			switch {
			case d.isRequest():
				one := request{named.Source.String(), named.Target(), d.Request.String()}
				if !countedRequests[one] {
					countedRequests[one] = true
					requests[clean(one.source)]++
					flows[clean(one.source)] += 0
				}
			case !isImplied(d.Flow):
				unexpected = append(unexpected, named)
			}
		}
		for _, text := range r.Unused {
			golden := cmp.Or(r.GoldenFile(), r.Package+" "+r.Golden)
			if one := (rule{r.Workload, golden, text}); !counted[one] {
				counted[one] = true
				unused[workload]++
			}
		}
		for _, l := range r.Losses {
			lost[workload] += l.Count
		}
	}
	for _, f := range flow.Fold(seen) {
		flows[clean(f.Source.String())]++
		refused[clean(f.Source.String())] += f.Refused
	}
	for _, f := range flow.Fold(unexpected) {
		denied[clean(f.Source.String())]++
		flows[clean(f.Source.String())] += 0
	}
	var b strings.Builder
	workloads := slices.Sorted(maps.Keys(flows))
	flows.write(&b, workloads, "netzero_flows", "gauge", "Distinct flows that the workload opened in the tests.")
	denied.write(&b, workloads, "netzero_flows_denied", "gauge",
		"Distinct flows of the workload that the committed policies do not allow.")
	requests.write(&b, workloads, "netzero_requests_denied", "gauge",
		"Distinct requests of the workload, over allowed flows, that the committed policies do not allow.")
	refused.write(&b, workloads, "netzero_attempts_refused_total", "counter",
		"Connections and packets of the workload that the kernel refused, because tests enforced their policies.")
	unused.write(&b, workloads, "netzero_rules_unused", "gauge",
		"Rules in the policies of the workload's tests that no recorded flow needed.")
	lost.write(&b, workloads, "netzero_recording_lost_total", "counter",
		"Events that were lost while the workload's tests were recorded.")
	return []byte(b.String())
}

// Named returns flows whose sources have names: that of the workload where the source is the test process itself.
func Named(flows []flow.Flow, workload string) []flow.Flow {
	flows = slices.Clone(flows)
	for i, f := range flows {
		if name := (dependency{Denied: Denied{Flow: f}}).source(workload); name != f.Source.String() {
			flows[i].Source = flow.WorkloadEndpoint(name)
		}
	}
	return flows
}

// metric is the values of a metric by workload, whose name holds no control characters.
type metric map[string]uint64

func (m metric) write(b *strings.Builder, workloads []string, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, w := range workloads {
		fmt.Fprintf(b, "%s{workload=\"%s\"} %d\n", name, labelValue.Replace(w), m[w])
	}
}

var labelValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
