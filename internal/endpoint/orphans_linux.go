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

// Started returns the start time of a process, in the kernel's ticks since boot. Together with the id it identifies one
// process, because ids are reused.
func Started(pid int) (uint64, error) {
	s, err := readStat(pid)
	return s.started, err
}

// stat is a part of /proc/<pid>/stat.
type stat struct {
	parent, session int
	started         uint64
	ended           bool // or is about to end: it has no environment any more, but may still have children
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
	const exiting = 4 // PF_EXITING of the first thread; other threads may continue
	s.ended = flags&exiting != 0 && (string(fields[17]) == "0" || string(fields[17]) == "1")
	return s, nil
}

// reapers are the programs, other than process 1, that adopt processes without parents.
var reapers = []string{"systemd", "init", "tini", "dumb-init", "docker-init", "catatonit", "s6-svscan", "runsvdir",
	"conmon"}

// Orphans returns processes that have lost their parents and used to descend from this process. own are those with the
// initial environment of this process, which contains the package's directory (PWD), apart from variables that this
// process has changed since. perhaps are uncertain: they have another environment but are in the same session, or
// another running process has this one's environment and may have started them. A daemon that left the session and has
// another environment cannot be distinguished from an unrelated process. An error means that some may be missing.
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
	var twins []uint64 // start times of processes that may have started our orphans
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

// twinsOf returns the start times of the processes with this process's environment that are neither its ancestors, nor
// its descendants, nor descend from one that has lost its parents since.
func twinsOf(all []int, me stat, reaper, above map[int]bool) (started []uint64) {
	// A process that is about to end takes microseconds for that, or milliseconds without a CPU.
	const (
		tries = 1000
		pause = 10 * time.Microsecond
	)
	for _, pid := range all {
		if above[pid] || !inherits(pid) {
			continue
		}
		s, ours, certain := isOurs(pid, me, reaper, above)
		for i := 0; !certain && i < tries; i++ {
			time.Sleep(pause)
			s, ours, certain = isOurs(pid, me, reaper, above)
		}
		if !ours {
			started = append(started, s.started)
		}
	}
	return started
}

// isOurs reports whether a process is gone, or descends from this one or from one that has lost its parents since. It
// is uncertain while a process in between is about to end, because the kernel then changes the parent of its children.
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

// Ended reports whether a process is gone or about to be, so that it opens nothing more.
func Ended(pid int) bool {
	s, err := readStat(pid)
	return err != nil || s.ended
}

// inherits reports whether a process has this process's environment: each variable with the initial or the current
// value.
func inherits(pid int) bool {
	own, err := os.ReadFile("/proc/self/environ") // the initial environment
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
	hasDirectory := false
	for v := range strings.SplitSeq(string(own), "\x00") {
		name, _, _ := strings.Cut(v, "=")
		if name == "" || name == "_" || name == "SHLVL" || name == "OLDPWD" { // changed by shells
			continue
		}
		hasDirectory = hasDirectory || name == "PWD"
		now, set := os.LookupEnv(name)
		if !has[v] && set && !has[name+"="+now] {
			return false
		}
	}
	return hasDirectory
}
