package check

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/internal/placement"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ordersScene is a recording of workload checkout, which opened a flow to orders-db and lost events.
func ordersScene(t *testing.T) recording.File {
	t.Helper()
	const dir = "/src/shop"
	o := Options{
		Test: t.Name(), Package: Package{Dir: dir, Path: "example.com/shop"},
		Golden:    filepath.Join(dir, "policies", "orders.yaml"),
		Placement: placement.Options{Manifests: manifesttest.Read(t, manifesttest.OrdersDB)},
	}
	checkout := flow.Endpoint{Kind: flow.Workload, Name: "checkout", Namespace: "shop"}
	recorded := recording.Recording{
		Flows: []flow.Flow{{
			Source: checkout, Destination: flow.Endpoint{Kind: flow.Workload, Name: "orders-db"},
			Protocol: flow.TCP, Port: 5432, Count: 2,
		}},
		Workloads: []recording.Workload{{Name: "checkout", Namespace: "shop"}},
		Notices:   []string{"one"}, Announced: []string{t.Name() + ": one", t.Name() + ": two"}, Unserved: []string{"three"},
	}
	return File(recorded, errors.New("2 events were lost"), o)
}

func TestFile_BothSidesOfPlacement(t *testing.T) {
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
		Version: 1, Test: t.Name(), Package: "example.com/shop", Golden: "policies/orders.yaml",
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

func TestFile_UniqueNames(t *testing.T) {
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
		name := FileName(recording.File{Package: "example.com/shop", Golden: row.golden}, "/src/shop", row.test)
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
