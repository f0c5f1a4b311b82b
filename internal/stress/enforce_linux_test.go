package stress

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testnet"
)

// 64 tests at the same time, each allowed its own destinations and nothing else, dial each other's destinations too.
func TestEnforce_NoWrongVerdict(t *testing.T) {
	lab := testnet.New(t)
	lab.ResolverTimeout(time.Minute)
	zone := testnet.MustZone()
	for test := range tests {
		if err := zone.Add(fmt.Sprintf("%s A %s", name(test), sharedAddress(test))); err != nil {
			t.Fatal(err)
		}
		lab.ServeTCP(byAddress(test), nil)
		lab.ServeUDP(byAddress(test), nil)
		if test%namesPerAddress == 0 {
			lab.ServeTCP(sharedAddress(test)+":7000", nil)
		}
	}
	lab.ServeDNS(resolver, zone)

	goldens := t.TempDir()
	for test := range tests {
		path := filepath.Join(goldens, fmt.Sprintf("%02d.yaml", test))
		if err := os.WriteFile(path, fmt.Appendf(nil, golden, name(test), named(test)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range *rounds {
		checkVerdicts(t, enforced(t, lab, goldens))
	}
	t.Logf("%d tests at the same time, %d dials in each run", tests, tests*dials)
}

// golden is the policy of a test, with its name and its address. A recording of all tests at the same time cannot write
// it: of names with one address that are looked up at the same moment, each counts.
const golden = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: stress
  annotations:
    netzero.dev/egress-names: %s:7000/TCP
spec:
  podSelector: {matchLabels: {app: stress}}
  policyTypes: [Egress]
  egress:
  - to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
    ports: [{port: 53, protocol: TCP}, {port: 53, protocol: UDP}]
  - to:
    - ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]}
    ports: [{port: 7000, protocol: TCP}]
  - to:
    - ipBlock: {cidr: %s/32}
    ports: [{port: 7000, protocol: TCP}, {port: 7000, protocol: UDP}]
`

// enforced runs the tests with Enforce and returns their output.
func enforced(t *testing.T, lab *testnet.Net, goldens string) []byte {
	t.Helper()
	cmd := userCommand(t, lab, goldens, "TestEnforce", "-test.v")
	cmd.Env = append(cmd.Env, othersVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the tests pass, though each dials what it may not:\n%s", out)
	}
	return out
}

func checkVerdicts(t *testing.T, out []byte) {
	t.Helper()
	for line := range bytes.Lines(out) {
		if bytes.Contains(line, []byte(wrongVerdict)) {
			t.Errorf("%s", bytes.TrimSpace(line))
		}
	}
	// The name of a destination may also be that of another test, which looked up its own at the same moment. Then the
	// report has the flow twice, once as one that the kernel let pass.
	refused := fmt.Sprintf(": ([0-9]+ unexpected flows, )?%d (unexpected flows|of them) refused in the kernel ",
		others*len(destinations(0)))
	for _, pattern := range []string{allDialled, refused} {
		if got := len(regexp.MustCompile(pattern).FindAll(out, -1)); got != tests {
			t.Errorf("%q is %d times in the output, want %d", pattern, got, tests)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}
