package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

var shopAndJobs = policy.Scope{Subjects: []policy.Subject{
	{Workload: policy.Workload{Name: "shop"}},
	{Workload: policy.Workload{Name: "job", Namespace: "a"}}, {Workload: policy.Workload{Name: "job", Namespace: "b"}},
}}

// opened returns a flow to the bank that programs of a workload opened.
func opened(workload string, port uint16, binaries string) flow.Flow {
	name, namespace, _ := strings.Cut(workload, ".")
	return flow.Flow{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace},
		Destination: flow.Endpoint{Kind: flow.Workload, Name: "bank"},
		Protocol:    flow.TCP, Port: port, Count: 1,
		Binaries: strings.FieldsFunc(binaries, func(r rune) bool { return r == ',' }),
	}
}

func TestBinaries_ComparedWithList(t *testing.T) {
	allowed := []flow.Flow{opened("shop", 1, ""), opened("shop", 2, ""), opened("job.a", 1, ""), opened("job.b", 1, "")}
	const (
		is    = " is not in the annotation netzero.dev/binaries of policy shop, which lists "
		isJob = " is not in the annotation netzero.dev/binaries of policy job, which lists "
		none  = "policy shop has no annotation netzero.dev/binaries"
	)
	for _, c := range []struct {
		reason string
		lists  map[string]string // by the policy's name and namespace
		flows  []flow.Flow
		want   []string // workload, port, more, who and why
		quiet  bool     // no notice without the option
	}{
		{"listed", map[string]string{"shop": "curl,psql"}, []flow.Flow{opened("shop", 1, "curl,psql")}, nil, true},
		{"the test's own program", map[string]string{"shop": ""}, []flow.Flow{opened("shop", 1, "")}, nil, true},
		{"a pattern", map[string]string{"shop": "c*"}, []flow.Flow{opened("shop", 1, "cat,curl")}, nil, true},
		{"every program", map[string]string{"shop": "*"}, []flow.Flow{opened("shop", 1, "cat,curl")}, nil, true},
		{
			"an empty list", map[string]string{"shop": ""}, []flow.Flow{opened("shop", 1, "curl")},
			[]string{"shop 1 +0 curl: curl" + is + "none"},
			false,
		},
		{"no list", nil, []flow.Flow{opened("shop", 1, "curl")}, []string{"shop 1 +0 curl: " + none}, true},
		{
			"one of two", map[string]string{"shop": "curl"}, []flow.Flow{opened("shop", 1, "curl,wget")},
			[]string{"shop 1 +0 wget: wget" + is + "curl"},
			false,
		},
		{"each of two", map[string]string{"shop": "psql"}, []flow.Flow{opened("shop", 1, "curl,wget")},
			[]string{"shop 1 +0 curl: curl" + is + "psql", "shop 1 +0 wget: wget" + is + "psql"}, false},
		{
			"once, of several flows", map[string]string{"shop": ""},
			[]flow.Flow{opened("shop", 1, "curl"), opened("shop", 2, "curl")},
			[]string{"shop 1 +1 curl: curl" + is + "none"},
			false,
		},
		{
			"of a flow that is denied the flow is told", map[string]string{"shop": ""},
			[]flow.Flow{opened("shop", 3, "curl"), opened("shop", 2, "curl")},
			[]string{"shop 2 +0 curl: curl" + is + "none"},
			false,
		},
		{
			"entries that are no names",
			map[string]string{"shop": ",, /bin/curl ,cur?"},
			[]flow.Flow{opened("shop", 1, "curl")},
			[]string{"shop 1 +0 curl: curl" + is + "/bin/curl, cur?"},
			false,
		},
		{
			"workloads of one name",
			map[string]string{"job.a": "curl", "job.b": "sh"},
			[]flow.Flow{opened("job.a", 1, "curl,sh"), opened("job.b", 1, "curl,sh")},
			[]string{"job.a 1 +0 sh: sh" + isJob + "curl", "job.b 1 +0 curl: curl" + isJob + "sh"},
			false,
		},
		{
			"the same program in both of them", map[string]string{"job.a": "", "job.b": ""},
			[]flow.Flow{opened("job.a", 1, "sh"), opened("job.b", 1, "sh")},
			[]string{"job.a 1 +0 sh: sh" + isJob + "none", "job.b 1 +0 sh: sh" + isJob + "none"},
			false,
		},
		{
			"another workload's", map[string]string{"shop": ""},
			[]flow.Flow{
				{
					Source:      flow.Endpoint{Kind: flow.Anyone},
					Destination: flow.Endpoint{Kind: flow.Workload, Name: "shop"},
					Protocol:    flow.TCP, Port: 1, Binaries: []string{"curl"},
				},
			},
			nil, true,
		},
	} {
		for _, with := range []bool{true, false} {
			scope := shopAndJobs
			scope.Binaries = with
			want := c.want
			if c.quiet && !with {
				want = nil
			}
			for _, dialect := range []golden.Dialect{golden.Kubernetes, golden.Cilium} {
				committed := dialectFor(dialect, shopAndJobs).Generate(allowed)
				for _, p := range committed {
					if list, has := c.lists[strings.TrimSuffix(p.GetName()+"."+p.GetNamespace(), ".")]; has {
						p.SetAnnotations(map[string]string{policy.BinariesAnnotation: list})
					}
				}
				result := compared(dialectFor(dialect, scope), &golden.File{Policies: committed}, c.flows)
				if !with {
					if len(result.Binaries) > 0 || len(result.Notices) != len(want) || result.Failed() {
						t.Errorf("%s (%s): without the option %q, %q; want %d notices",
							c.reason, dialect, saidOf(result), recording.Texts(result.Notices), len(want))
					}
					continue
				}
				diff := cmp.Diff(want, saidOf(result))
				if diff != "" || len(result.Notices) > 0 || result.Failed() != (len(want) > 0) {
					t.Errorf("%s (%s), with notices %q (-want +got):\n%s",
						c.reason, dialect, recording.Texts(result.Notices), diff)
				}
			}
		}
	}
}

// compared returns a report on the programs that opened flows.
func compared(d dialect, file *golden.File, flows []flow.Flow) report.Report {
	recorded := recording.Recording{Initiators: make(map[recording.Program]recording.Initiator)}
	for _, f := range flows {
		for _, binary := range f.Binaries {
			f.Binaries, f.Process = []string{binary}, flow.Process{PID: 4711, Name: binary}
			recorded.Initiators[recording.Program{Workload: f.Source.Identity(), Binary: binary}] = recording.Initiator{
				Process: f.Process,
			}
		}
	}
	var result report.Report
	compareBinaries(&result, d, file, flows, recorded.Initiators)
	return result
}

func saidOf(r report.Report) []string {
	var lines []string
	for _, b := range r.Binaries {
		lines = append(
			lines, fmt.Sprintf("%s %d +%d %s: %s", b.Flow.Source, b.Flow.Port, b.More, b.Flow.Process.Name, b.Reason),
		)
	}
	return lines
}

// A program keeps its workload if the manifests set the workload's namespace.
func TestBinaries_NamespaceOfManifests(t *testing.T) {
	job := recording.Program{Workload: flow.WorkloadEndpoint("job"), Binary: "sh"}
	recorded := recording.Recording{
		Initiators: map[recording.Program]recording.Initiator{job: {Process: flow.Process{PID: 11}}},
	}
	scope := policy.Scope{Subjects: shopAndJobs.Subjects[1:2], Binaries: true}
	flows := []flow.Flow{opened("job.a", 1, "sh"), opened("job.a", 2, "sh")}
	var result report.Report
	file := &golden.File{Policies: dialectFor(golden.Kubernetes, shopAndJobs).Generate(flows)}
	compareBinaries(&result, dialectFor(golden.Kubernetes, scope), file, flows, recorded.Initiators)
	if len(result.Binaries) != 1 || result.Binaries[0].Flow.Process.PID != 11 {
		t.Errorf("%+v, want the initiator in the recording", result.Binaries)
	}
}
