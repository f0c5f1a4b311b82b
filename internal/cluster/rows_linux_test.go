package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/recording/identityrow"
)

// root is the directory of the repository.
const root = "../.."

// goTest runs tests of the repository, which write data to files.
func goTest(t *testing.T, dir string, environment []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"-C", dir, "test", "-count=1"}, args...)...)
	cmd.Env = append(os.Environ(), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

// filesIn returns the JSON files in a directory. It fails if there are none.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("nothing was written into %s", dir)
	}
	return all
}

// resolvers are the DNS servers of the rows that use another one than kube-dns.
var resolvers = map[string]Resolver{
	"any name: `search:9200` | `Resolver` as for OpenShift": OpenShiftDNS,
}

// TestReplay_Identities replays each row of docs/identity.md that leads to a policy.
func TestReplay_Identities(t *testing.T) {
	dir := t.TempDir()
	goTest(t, root, nil, "./netzerotest", "-run", "^TestIdentities$", "-rows", dir)
	for _, path := range filesIn(t, dir) {
		row, err := identityrow.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if row.Red {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Log(row.Row)
			placed := row.Recorded.Placed
			replay(t, Scenario{
				Policies: row.NetworkPolicies, Manifests: row.Manifests, Flows: placed.Flows,
				Workloads: placed.Workloads, Peers: placed.Peers, Resolver: resolvers[row.Row],
				Wider: strings.Contains(row.Row, "`Ports(") || strings.Contains(row.Row, "a person wrote"),
			})
			if t.Failed() {
				t.Logf("policies:\n%s\nmanifests:\n%s\nrecording: %+v", row.NetworkPolicies, row.Manifests, row.Recorded)
			}
		})
	}
}
