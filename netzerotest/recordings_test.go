package netzerotest

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ordersScene is a recording of workload checkout, which opened a flow to orders-db and lost events.
func ordersScene(t *testing.T) recording.File {
	t.Helper()
	r := &Recording{
		tb: t, config: config{manifests: readManifests(t, deployed)},
		golden: filepath.Join(packageDir, "policies", "orders.yaml"),
	}
	checkout := flow.Endpoint{Kind: flow.Workload, Name: "checkout", Namespace: "shop"}
	recorded := recording.Recording{
		Flows: []Flow{{
			Source: checkout, Destination: flow.Endpoint{Kind: flow.Workload, Name: "orders-db"},
			Protocol: flow.TCP, Port: 5432, Count: 2,
		}},
		Workloads: []recording.Workload{{Name: "checkout", Namespace: "shop"}},
		Notices:   []string{"one"}, Announced: []string{t.Name() + ": one", t.Name() + ": two"}, Unserved: []string{"three"},
	}
	return r.value(recorded, errors.New("2 events were lost"))
}

func TestRecordingAsAValueHasBothSidesOfTheManifests(t *testing.T) {
	got := ordersScene(t)
	app := func(name string) map[string]string { return map[string]string{"app": name} }
	end := func(name, namespace string) recording.Endpoint {
		return recording.Endpoint{Kind: recording.KindWorkload, Name: name, Namespace: namespace}
	}
	of := func(namespace string) []recording.Flow {
		return []recording.Flow{{
			Source: end("checkout", "shop"), Destination: end("orders-db", namespace), Protocol: "TCP", Port: 5432, Count: 2,
		}}
	}
	want := recording.File{
		Version: 1, Test: t.Name(), Package: "github.com/netzero-dev/netzero/netzerotest", Golden: "policies/orders.yaml",
		Workloads: []recording.Workload{
			{Name: "checkout", Namespace: "shop", Labels: app("checkout"), PodLabels: app("checkout")},
		},
		Peers: []recording.Workload{{Name: "orders-db", Namespace: "data", Labels: app("db"), PodLabels: app("db")}},
		Flows: of("data"), Recorded: of(""),
		Notices: []string{"one", "three", "two"}, Incomplete: "2 events were lost",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A pod with all PodLabels is selected by its own policy, and by the rules of others, which go by the Service.
func TestPodLabelsMatchEverySelector(t *testing.T) {
	_, scope, _ := deployBrokers(t)
	for _, s := range scope.Subjects {
		got := config{}.workloadValue(s.Workload)
		all := maps.Clone(got.PodLabels)
		maps.Copy(all, s.Selector)
		maps.Copy(all, got.Labels)
		if diff := cmp.Diff(all, got.PodLabels); diff != "" {
			t.Errorf("%s: labels are missing from the pods (-want +got)\n%s", s.Name, diff)
		}
		if want := map[string]string{"app": "kafka", "part": "broker"}; s.Name == "kafka" && !maps.Equal(got.Labels, want) {
			t.Errorf("kafka's policy selects %v, want %v", got.Labels, want)
		}
	}
}

func TestRecordingsHaveFilesOfTheirOwn(t *testing.T) {
	seen := make(map[string]string)
	for _, row := range []struct{ golden, test, want string }{
		{"testdata/netzero/TestQuote.yaml", "TestQuote", "example.com_shop.TestQuote.json"},
		{"testdata/netzero/package.yaml", "package", "example.com_shop.package.json"},
		{"testdata/netzero/TestQuote.yaml", "TestOther", ""},
		{"testdata/netzero/TestA/one.yaml", "TestA/one", ""},
		{"testdata/netzero/TestB/one.yaml", "TestB/one", ""},
		{"testdata/netzero/one.yaml", "one", "example.com_shop.one.json"},
		{"policies/shop.yaml", "TestA", ""},
		{"policies/shop.yaml", "TestB", ""},
		{"../shop.yaml", "TestA", ""},
	} {
		name := recordingFile(recording.File{Package: "example.com/shop", Golden: row.golden}, row.test)
		base := strings.TrimSuffix(filepath.Base(row.golden), ".yaml")
		isHashed := strings.HasPrefix(name, "example.com_shop."+base+"-")
		if row.want != "" && name != row.want || row.want == "" && !isHashed {
			t.Errorf("%s of %s: %s, want %s, or a hash in it", row.golden, row.test, name, row.want)
		}
		if other := seen[name]; other != "" {
			t.Errorf("%s of %s has the file of %s", row.golden, row.test, other)
		}
		seen[name] = row.golden + " of " + row.test
	}
}

func TestRecordingsDirectoryHasToExist(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{"": "", dir: dir, "doctor": filepath.Join(packageDir, "doctor")} {
		t.Setenv("NETZERO_RECORDINGS", value)
		if e, err := readEnvironment(); err != nil || e.recordings != want {
			t.Errorf("%q: %q, %v, want %q", value, e.recordings, err, want)
		}
	}
	for _, value := range []string{file, filepath.Join(dir, "missing"), "missing"} {
		t.Setenv("NETZERO_RECORDINGS", value)
		_, err := readEnvironment()
		if err == nil || !strings.Contains(err.Error(), "is not an existing directory: make it first") {
			t.Errorf("%q: %v", value, err)
		}
	}
}
