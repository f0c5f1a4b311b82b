package endpoint

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Started returns when a process started, in the kernel's ticks since boot. With its id that stands for one process: ids are
// given anew.
func Started(pid int) (uint64, error) {
	s, err := readStat(pid)
	return s.started, err
}

// stat is a part of /proc/<pid>/stat.
type stat struct {
	parent, session int
	started         uint64
	ended           bool // or ends right now: it has no environment any more, and perhaps children still
}

func readStat(pid int) (s stat, err error) {
	text, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return s, err
	}
	// state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice
	// num_threads itrealvalue starttime
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return s, fmt.Errorf("parse stat %q: too short", text)
	}
	if s.parent, err = strconv.Atoi(string(fields[1])); err != nil {
		return s, fmt.Errorf("parse stat %q: %w", text, err)
	}
	if s.session, err = strconv.Atoi(string(fields[3])); err != nil {
		return s, fmt.Errorf("parse stat %q: %w", text, err)
	}
	if s.started, err = strconv.ParseUint(string(fields[19]), 10, 64); err != nil {
		return s, fmt.Errorf("parse stat %q: %w", text, err)
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	if err != nil {
		return s, fmt.Errorf("parse stat %q: %w", text, err)
	}
	const exiting = 4 // PF_EXITING of the first thread; others may go on
	s.ended = flags&exiting != 0 && (string(fields[17]) == "0" || string(fields[17]) == "1")
	return s, nil
}

// reapers are the programs to which the kernel gives processes that have lost their parents, where that is not process 1.
var reapers = []string{"systemd", "init", "tini", "dumb-init", "docker-init", "catatonit", "s6-svscan", "runsvdir", "conmon"}

// Orphans returns the processes that have lost their parents, and descended from this process before: own are those that have
// the environment with which this process was started, which names the package's directory (PWD), but for what this process
// has changed since. perhaps are those of which it is not certain: they have another environment, and are of the same
// session; or another process runs that has this one's, and may have started them. A daemon that has left the session and has
// another environment cannot be told from a stranger's. An error says that some may be missing.
func Orphans() (own, perhaps []int, err error) {
	self := os.Getpid()
	me, err := readStat(self)
	if err != nil {
		return nil, nil, fmt.Errorf("read this process: %w", err)
	}
	above := map[int]bool{self: true}
	reaper := map[int]bool{1: true}
	for pid := me.parent; pid > 0 && !above[pid]; {
		above[pid] = true
		if name, _ := processName(pid); slices.Contains(reapers, name) {
			reaper[pid] = true
		}
		if pid, err = parentOf(pid); err != nil {
			break
		}
	}
	all, err := processes()
	if err != nil {
		return nil, nil, err
	}
	var twins []uint64 // when processes started that may have started ours
	first := true
	for _, pid := range all {
		s, err := readStat(pid)
		if err != nil || s.ended || s.started < me.started || !reaper[s.parent] || s.parent == self || above[pid] {
			continue
		}
		switch {
		case inherits(pid):
			if first {
				first, twins = false, twinsOf(all, me, reaper, above)
			}
			if slices.ContainsFunc(twins, func(started uint64) bool { return started <= s.started }) {
				perhaps = append(perhaps, pid)
			} else {
				own = append(own, pid)
			}
		case s.session == me.session && !Ended(pid):
			perhaps = append(perhaps, pid)
		}
	}
	slices.Sort(own)
	slices.Sort(perhaps)
	return own, perhaps, nil
}

// twinsOf returns when those processes started that have this one's environment, and are neither above it, nor descend from it
// or from one that has lost its parents since.
func twinsOf(all []int, me stat, reaper, above map[int]bool) (started []uint64) {
	const tries = 1000
	for _, pid := range all {
		if above[pid] || !inherits(pid) {
			continue
		}
		s, ours, certain := isOurs(pid, me, reaper, above)
		for i := 0; !certain && i < tries; i++ {
			time.Sleep(10 * time.Microsecond)
			s, ours, certain = isOurs(pid, me, reaper, above)
		}
		if !ours {
			started = append(started, s.started)
		}
	}
	return started
}

// isOurs reports whether a process descends from this one, or from one that has lost its parents since, or is gone. It is not
// certain while one that is about to end stands between them: the kernel gives its children another parent then.
func isOurs(pid int, me stat, reaper, above map[int]bool) (s stat, ours, certain bool) {
	s, err := readStat(pid)
	top, at := pid, s
	for err == nil && !reaper[at.parent] && !above[at.parent] {
		top = at.parent
		at, err = readStat(top)
	}
	switch {
	case Ended(pid):
		return s, true, true
	case err != nil:
		return s, false, false
	case at.parent == os.Getpid(), at.started >= me.started && reaper[at.parent] && inherits(top):
		return s, true, true
	}
	return s, false, !Ended(top)
}

// Ended reports whether a process is gone, or about to be: it opens nothing any more.
func Ended(pid int) bool {
	s, err := readStat(pid)
	return err != nil || s.ended
}

// inherits reports whether a process has the environment of this one: each variable with the value that it had at the start,
// or that it has now.
func inherits(pid int) bool {
	own, err := os.ReadFile("/proc/self/environ") // as it was at the start
	if err != nil {
		return false
	}
	its, err := os.ReadFile(procPath(pid, "environ"))
	if err != nil || len(its) == 0 {
		return false
	}
	has := make(map[string]bool)
	for v := range strings.SplitSeq(string(its), "\x00") {
		has[v] = true
	}
	located := false
	for v := range strings.SplitSeq(string(own), "\x00") {
		name, _, _ := strings.Cut(v, "=")
		if name == "" || name == "_" || name == "SHLVL" || name == "OLDPWD" { // which shells change
			continue
		}
		located = located || name == "PWD"
		now, set := os.LookupEnv(name)
		if !has[v] && set && !has[name+"="+now] {
			return false
		}
	}
	return located
}
