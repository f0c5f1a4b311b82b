package session

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

// process identifies one process: the kernel reuses process ids.
type process struct {
	pid     int
	started uint64
}

// identify returns the processes that have these ids now.
func identify(pids []int) []process {
	var all []process
	for _, pid := range pids {
		if started, err := endpoint.Started(pid); err == nil {
			all = append(all, process{pid, started})
		}
	}
	return all
}

// isAlive reports whether a process has not ended.
func (p process) isAlive() bool {
	started, err := endpoint.Started(p.pid)
	return err == nil && started == p.started && !endpoint.Ended(p.pid)
}

// saved are the descendants of this process that were alive when a session ended, with their recordings. Once their
// parents have ended nothing else identifies them.
var saved struct {
	sync.Mutex
	of map[process]goroutine.ID
}

// saveDescendants saves the processes in scope for the next session. An error means that some may be missing.
func (s *Session) saveDescendants() error {
	all := make(map[process]goroutine.ID)
	inside, err := s.Leaf.Processes()
	for _, p := range identify(inside) {
		all[p] = 0
	}
	if s.sharesPIDNamespace() && s.Probe.TracksDescendants() {
		known, knownErr := s.Probe.Descendants()
		err = errors.Join(err, knownErr)
		for _, p := range identify(slices.Collect(maps.Keys(known))) {
			all[p] = known[p.pid]
		}
	}
	saved.Lock()
	defer saved.Unlock()
	for p, of := range saved.of {
		if _, known := all[p]; !known && p.isAlive() {
			all[p] = of
		}
	}
	delete(all, process{os.Getpid(), selfStarted()})
	saved.of = all
	return err
}

func selfStarted() uint64 {
	started, _ := endpoint.Started(os.Getpid())
	return started
}

// savedDescendants returns the living processes that were in scope of an earlier session.
func savedDescendants() map[process]goroutine.ID {
	saved.Lock()
	defer saved.Unlock()
	all := make(map[process]goroutine.ID)
	for p, of := range saved.of {
		if p.isAlive() {
			all[p] = of
		}
	}
	return all
}

// sharesPIDNamespace reports whether the kernel's hooks use the same process ids as this process.
func (s *Session) sharesPIDNamespace() bool { return s.Self.PID == os.Getpid() }

// Descendants returns the descendants of this process that the kernel knows, including those with dead parents, with
// their recordings. Outside of the initial pid namespace it returns none.
func (s *Session) Descendants() (map[int]goroutine.ID, error) {
	if !s.sharesPIDNamespace() || !s.Probe.TracksDescendants() {
		return nil, nil
	}
	return s.Probe.Descendants()
}

// The limit of findDescendants: it fails if processes still start others outside of the leaf cgroup after this time and
// this number of rounds. Processes that are still being started are found within a few rounds. On a busy machine a
// single round may take seconds, so time alone would not do.
const (
	patience    = 10 * time.Second
	leastRounds = 20
)

// findDescendants brings the descendants of this process that are older than the session into scope. Until they are in
// the leaf cgroup they may start others outside of it, so findDescendants repeats until it finds no more.
func (s *Session) findDescendants(before []process) error {
	mine := savedDescendants()
	for _, p := range before {
		if _, known := mine[p]; !known {
			mine[p] = 0
		}
	}
	known, unclear := make(map[process]bool), make(map[process]bool)
	deadline := time.Now().Add(patience)
	for round := 1; ; round++ {
		more, err := s.findDescendantsOnce(round == 1, mine, known, unclear)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if round >= leastRounds && time.Now().After(deadline) {
			return fmt.Errorf("move processes into cgroup %s: they start child processes faster than they can be moved: "+
				"start them after Record, or limit their child processes", s.Leaf.Path)
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(unclear), func(a, b process) int { return a.pid - b.pid }) {
		if !known[p] && p.isAlive() {
			described, _ := endpoint.ReadProcess(p.pid)
			s.Unclear = append(s.Unclear, described)
		}
	}
	if s.sharesPIDNamespace() && s.Probe.TracksDescendants() {
		return s.Probe.EndScan()
	}
	return nil // in another pid namespace the programs check parents, and our ids mean nothing to them
}

// findDescendantsOnce handles the processes that it finds now. It reports whether another round is needed. One is
// needed if it moved some, or if it found some outside of the scope that have lost their parents, because nothing else
// leads to their children. mine are certain descendants, whatever /proc says. findDescendantsOnce adds to mine, and
// adds uncertain ones to unclear.
func (s *Session) findDescendantsOnce(
	first bool, mine map[process]goroutine.ID, known, unclear map[process]bool,
) (more bool, err error) {
	var inside []int // the processes that started in the leaf while it was in scope, or are known
	if !first {
		if inside, err = s.Leaf.Processes(); err != nil {
			return false, err
		}
	}
	roots := []int{os.Getpid()}
	for p := range mine {
		if p.isAlive() {
			roots = append(roots, p.pid)
		}
	}
	found, err := endpoint.Descendants(roots...)
	if err != nil {
		return false, err
	}
	found = append(found, roots[1:]...)
	// After the descendants: a process with a parent that ends in between is found here.
	orphans, perhaps, err := endpoint.Orphans()
	if err != nil {
		return false, err
	}
	for _, p := range identify(perhaps) {
		unclear[p] = true
	}
	var tracked map[int]goroutine.ID
	if s.sharesPIDNamespace() && s.Probe.TracksDescendants() {
		if tracked, err = s.Probe.Descendants(); err != nil {
			return false, err
		}
		found = append(found, slices.Collect(maps.Keys(tracked))...)
	}
	inScope, err := s.Leaf.Processes()
	if err != nil {
		return false, err
	}
	for _, p := range identify(orphans) {
		if _, is := mine[p]; is {
			continue
		}
		mine[p] = 0
		found = append(found, p.pid)
		if _, is := tracked[p.pid]; !is && !slices.Contains(inScope, p.pid) && p.isAlive() {
			more = true
		}
	}
	siblings, err := s.Leaf.Siblings()
	if err != nil {
		return false, err
	}
	var fresh, movable []int
	for _, p := range identify(found) {
		if known[p] || p.pid == os.Getpid() {
			continue
		}
		known[p] = true
		if !slices.Contains(inside, p.pid) {
			fresh = append(fresh, p.pid)
		}
		if slices.Contains(siblings, p.pid) {
			movable = append(movable, p.pid)
		}
		if s.sharesPIDNamespace() && s.Probe.TracksDescendants() {
			if err := s.Probe.AddDescendant(p.pid, mine[p]); err != nil {
				return false, err
			}
		}
	}
	if err := s.Leaf.Move(movable...); err != nil {
		return false, err
	}
	for _, pid := range fresh {
		if err := s.trackSockets(pid, s.Probe.TrackSockets); err != nil {
			return false, err
		}
	}
	return more || len(movable) > 0, nil
}
