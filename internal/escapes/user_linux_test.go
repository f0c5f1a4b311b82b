package escapes

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/netzerotest"
)

// outcome is the result of one recording of a way.
type outcome struct {
	Way   string
	Early bool     // the early part ran before the first recording
	Flows []string // the targets of all flows, in order
	// Refused are the targets of the flows of which the kernel refused each attempt, and PartlyRefused those of which it
	// refused some.
	Refused, PartlyRefused []string

	Begin, End time.Time // of the recording, without its cleanup

	Failed bool
	None   string // why this kernel lacks the feature
	Error  string // why the way failed
	text   string // the output of the test
}

// outcomeMark precedes each outcome in the output of the user's test binary.
const outcomeMark = "escapes outcome: "

// started is a way after its early part.
type started struct {
	way
	to   host
	open func() error
	err  error
}

// earlierVariable moves the early part to an earlier test that records.
const earlierVariable = "ESCAPES_EARLIER"

// enforcedVariable makes the recordings of ways enforce a golden file.
const enforcedVariable = "ESCAPES_ENFORCED"

// denyAll is a policy that allows no workload anything.
const denyAll = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: deny-all
spec:
  podSelector: {}
  policyTypes:
  - Egress
`

// policy returns the golden file that Enforce gets.
func (w *started) policy() string {
	if !w.allowed {
		return denyAll
	}
	return denyAll + fmt.Sprintf(`  egress:
  - to:
    - ipBlock:
        cidr: %s/32
    ports:
    - port: 443
      protocol: TCP
`, w.to.v4)
}

// enforced returns the options that enforce a golden file, if enforcedVariable is set.
func enforced(t *testing.T, golden string) []netzerotest.Option {
	if os.Getenv(enforcedVariable) == "" {
		return nil
	}
	file := strings.NewReplacer("/", "-", "#", "-").Replace(t.Name()) + ".yaml"
	if err := os.WriteFile(file, []byte(golden), 0o644); err != nil {
		t.Fatal(err)
	}
	return []netzerotest.Option{netzerotest.Enforce(), netzerotest.Golden(file)}
}

// userTests returns the ways in waysVariable, as tests of a user.
func userTests() []testing.InternalTest {
	var ways []*started
	for name := range strings.SplitSeq(os.Getenv(waysVariable), "\n") {
		ways = append(ways, &started{way: findWay(name), to: hostOf(name)})
	}
	start := func() {
		for _, w := range ways {
			w.open, w.err = w.start(w.to)
		}
	}
	var tests []testing.InternalTest
	if os.Getenv(earlierVariable) == "" {
		start()
	} else {
		tests = append(tests, testing.InternalTest{Name: "TestEarlier", F: func(t *testing.T) {
			netzerotest.Record(t)
			start()
		}})
	}
	return append(tests, testing.InternalTest{Name: "TestWays", F: func(t *testing.T) {
		// One recording contains all of them, because loading the programs takes more than a second of CPU time in a
		// guest.
		netzerotest.Record(t, enforced(t, denyAll)...)
		for _, w := range ways {
			t.Run("way", w.run)
		}
	}})
}

// run records the way from now on.
func (w *started) run(t *testing.T) {
	o := outcome{Way: w.name, Early: w.early != nil && os.Getenv(earlierVariable) == ""}
	// Cleanups run in reverse order: this one runs after the recording has reported.
	t.Cleanup(func() {
		o.Failed = t.Failed()
		if text, err := json.Marshal(o); err == nil {
			fmt.Printf("\n%s%s\n", outcomeMark, text)
		}
	})
	recording := netzerotest.Record(t, enforced(t, w.policy())...)
	o.Begin = time.Now()
	err := w.err
	if err == nil {
		err = w.open()
	}
	o.End = time.Now()
	for _, f := range recording.Flows() {
		target := w.to.asHost(f.Target())
		o.Flows = append(o.Flows, target)
		switch {
		case f.Refused == f.Count:
			o.Refused = append(o.Refused, target)
		case f.Refused > 0:
			o.PartlyRefused = append(o.PartlyRefused, target)
		}
	}
	var lacking errNone
	if errors.As(err, &lacking) {
		o.None = lacking.reason
	} else if err != nil {
		o.Error = err.Error()
	}
}

// parseOutcomes returns the outcomes in the output of the user's test binary, each with the text before it.
func parseOutcomes(output string) (all []outcome, err error) {
	for {
		before, after, found := strings.Cut(output, "\n"+outcomeMark)
		if !found {
			return all, nil
		}
		line, rest, _ := strings.Cut(after, "\n")
		var o outcome
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			return nil, fmt.Errorf("read outcome %q: %w", line, err)
		}
		o.text = before
		all = append(all, o)
		output = rest
	}
}
