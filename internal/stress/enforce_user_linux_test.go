package stress

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/netzerotest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	// othersVariable makes each test dial destinations of others too.
	othersVariable = "STRESS_OTHERS"
	// dialVariable contains destinations. If it is set, this is the child of a test that dials them.
	dialVariable = "STRESS_DIAL"

	// What tests print.
	wrongVerdict = "wrong verdict"
	allDialled   = "dialled everything"
)

const (
	others          = 27 // other tests whose destinations a test dials
	othersByChild   = 7  // those of them whose destinations its child dials
	ownByGoroutine  = 20 // how often a test dials each own destination
	ownByChild      = 7
	namesPerAddress = 16

	dials = 3 * (others + ownByGoroutine + ownByChild) // of a test, at its 3 kinds of destinations
)

// The addresses of a test: one of its own, and one at which only names tell it from other tests.
func byAddress(test int) string     { return named(test) + ":7000" }
func sharedAddress(test int) string { return fmt.Sprintf("203.0.113.%d", 60+test/namesPerAddress) }

// destinations returns what a test may reach.
func destinations(test int) []string {
	return []string{"tcp/" + byAddress(test), "udp/" + byAddress(test), "tcp/" + name(test) + ":7000"}
}

func userEnforce(t *testing.T) {
	var begun, ended sync.WaitGroup
	begun.Add(tests)
	ended.Add(tests)
	for test := range tests {
		t.Run(fmt.Sprintf("%02d", test), func(t *testing.T) {
			t.Parallel()
			defer ended.Done()
			recording := netzerotest.Record(t, netzerotest.Enforce(),
				netzerotest.Golden(filepath.Join(os.Getenv(goldensVariable), fmt.Sprintf("%02d.yaml", test))))
			begun.Done()
			begun.Wait()
			dialAll(t, test)
			compareRefused(t, test, recording.Flows())
			t.Log(allDialled)
		})
	}
}

// dialAll dials everything at the same time, some of it in a child.
func dialAll(t *testing.T, test int) {
	var own, foreign, inChild []string
	for range ownByGoroutine {
		own = append(own, destinations(test)...)
	}
	for range ownByChild {
		inChild = append(inChild, destinations(test)...)
	}
	if os.Getenv(othersVariable) != "" {
		for n := range others {
			list := &foreign
			if n < othersByChild {
				list = &inChild
			}
			*list = append(*list, destinations((test+1+n)%tests)...)
		}
	}
	var wait sync.WaitGroup
	resolver := &net.Resolver{PreferGo: true} // net's own resolver shares the lookups of all tests
	for _, to := range append(own, foreign...) {
		wait.Go(func() { check(t, test, to, verdict(resolver, to)) })
	}
	wait.Go(func() { checkChild(t, test, inChild) })
	wait.Wait()
}

// verdict dials a destination and returns "reached", "refused" or an error.
func verdict(resolver *net.Resolver, destination string) string {
	err := exchange(resolver, destination)
	switch {
	case err == nil:
		return "reached"
	case strings.HasSuffix(err.Error(), syscall.EPERM.Error()): // a lookup has no other sign of it
		return "refused"
	}
	return err.Error()
}

// exchange sends a word, and waits until it comes back.
func exchange(resolver *net.Resolver, destination string) error {
	network, address, _ := strings.Cut(destination, "/")
	dialer := net.Dialer{Timeout: time.Minute, Resolver: resolver}
	conn, err := dialer.Dial(network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 5))
	return err
}

func check(t *testing.T, test int, destination, got string) {
	want := "refused"
	for _, own := range destinations(test) {
		if destination == own {
			want = "reached"
		}
	}
	if got != want {
		t.Errorf("%s: test %d and %s: %s, want %s", wrongVerdict, test, destination, got, want)
	}
}

// checkChild starts a child that dials.
func checkChild(t *testing.T, test int, destinations []string) {
	child := exec.CommandContext(t.Context(), "/proc/self/exe")
	child.Env = append(os.Environ(), dialVariable+"="+strings.Join(destinations, " "))
	out, err := child.Output()
	if err != nil {
		t.Errorf("%s: the child of test %d: %v", wrongVerdict, test, err)
	}
	verdicts := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(verdicts) != len(destinations) {
		t.Errorf("%s: the child of test %d has %d, want %d", wrongVerdict, test, len(verdicts), len(destinations))
		return
	}
	for i, got := range verdicts {
		check(t, test, destinations[i], got)
	}
}

// dialInChild prints a verdict for each destination.
func dialInChild(destinations []string) {
	for _, to := range destinations {
		fmt.Println(verdict(&net.Resolver{PreferGo: true}, to))
	}
}

// compareRefused compares how often the recording says that each destination was refused with what the test did.
func compareRefused(t *testing.T, test int, flows []netzerotest.Flow) {
	want := make(map[string]uint64)
	if os.Getenv(othersVariable) != "" {
		for n := range others {
			other := (test + 1 + n) % tests
			want[byAddress(other)+"/TCP"], want[byAddress(other)+"/UDP"], want[name(other)+":*"] = 1, 1, 1
		}
	}
	for _, f := range flows {
		got, to := f.Refused, f.Target()
		if f.Destination.Kind == flow.Resolver { // what was refused of it is a lookup
			continue
		}
		if f.Lookup {
			got = min(got, 1) // a resolver asks for each kind of address, and may ask again
		}
		if got != want[to] {
			t.Errorf("%s: test %d was refused %s %d times, want %d", wrongVerdict, test, to, got, want[to])
		}
		delete(want, to)
	}
	for to, n := range want {
		t.Errorf("%s: test %d was not refused %s, want %d times", wrongVerdict, test, to, n)
	}
}
