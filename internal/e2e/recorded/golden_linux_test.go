package recorded

import (
	"strconv"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// The daily cycle: record a policy, keep it, see a new dependency, accept it, see an unused rule.
func TestGolden_RecordCompareAccept(t *testing.T) {
	testenv.Recorded(t, "Record with a golden file: record, pass, fail, accept")
	s := newShop(t, newLab(t))
	const (
		first  = "tcp/api.pay.test:443 udp/metrics.pay.test:8125 tcp/203.0.113.12:5432"
		second = first + " child/tcp/refunds.pay.test:443" // at the address and port of the first
		third  = "tcp/api.pay.test:443 child/tcp/refunds.pay.test:443 tcp/203.0.113.12:5432"
	)
	s.run(run{Open: first}).fails().
		says("netzero: TestShop: no committed policy (policy testdata/netzero/TestShop.yaml)").
		says("this run would write:", "netzero.dev/egress-names: api.pay.test:443/TCP,metrics.pay.test:8125/UDP")
	s.golden("TestShop", "")

	s.run(run{Open: first, Args: []string{"-update", "-test.v"}}).passes().says("wrote testdata/netzero/TestShop.yaml")
	s.golden("TestShop", "first.yaml")
	s.run(run{Open: first}).passes().doesNotSay("netzero")
	s.run(run{Open: first, Args: []string{"-update"}}).passes()
	s.golden("TestShop", "first.yaml")

	failed := s.run(run{Open: second}).fails().
		says("netzero: TestShop: 1 unexpected flow (policy testdata/netzero/TestShop.yaml)").
		says("shop -> refunds.pay.test:443/TCP", "address 203.0.113.10", "name from DNS").
		says("denied policy shop: refunds.pay.test:443/TCP is not in the annotation netzero.dev/egress-names").
		says("To accept: go test github.com/netzero-dev/netzero/internal/e2e/recorded -run '^TestShop$' -update").
		doesNotSay("-> api.pay.test", "-> metrics.pay.test", "-> 203.0.113.12")
	s.golden("TestShop", "first.yaml")
	failed.accept().passes()
	s.golden("TestShop", "second.yaml")
	s.run(run{Open: second}).passes().doesNotSay("netzero")

	s.run(run{Open: third, Args: []string{"-test.v"}}).passes().says("2 notices",
		"unused: policy shop: rule 1: port 8125/UDP", "unused: policy shop: name metrics.pay.test:8125/UDP")
	s.run(run{Open: third, Env: []string{"STRICT=1"}}).fails().says("unused rules, which Strict forbids",
		"name metrics.pay.test:8125/UDP")
	s.golden("TestShop", "second.yaml")
}

func TestLoss_FailsAndWritesNothing(t *testing.T) {
	s := newShop(t, newLab(t))
	for _, row := range []struct {
		reason, variable, text, remedy string // other packages' tests may cause losses too
		least                          int    // of 300; more if a cgroup of such a test takes room
	}{
		{"room for 16 flows", "NETZERO_MAX_FLOWS=16", "new flows (flow table full)", "NETZERO_MAX_FLOWS", 284},
		{"a ring buffer of one page, which is not read in time", "NETZERO_RING_BYTES=4096", "new flows (ring buffer full)",
			"raise NETZERO_RING_BYTES", 1},
	} {
		t.Run(row.reason, func(t *testing.T) {
			s := shop{t, s.lab, s.dir}
			failed := s.run(run{Test: "TestBurst", Args: []string{"-update"},
				Env: []string{row.variable, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"}}).fails().
				says("netzero: TestBurst: recording incomplete", row.text, row.remedy, "this run writes no policy").
				doesNotSay("To accept")
			_, after, _ := strings.Cut(oneLine(failed.text), "the kernel lost ")
			if n, err := strconv.Atoi(strings.Fields(after + " .")[0]); err != nil || n < row.least {
				t.Errorf("the kernel lost %.20q flows, want at least %d", after, row.least)
			}
			s.golden("TestBurst", "")
		})
	}
}
