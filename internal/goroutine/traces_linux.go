package goroutine

import (
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// trace is a goroutine as the runtime prints it.
type trace struct {
	frames  []flow.Frame
	creator flow.Frame // Started
	parent  uint64
}

// maxDump limits the size of the runtime's print.
const maxDump = 64 << 20

// traces returns all goroutines by id. cut reports that the print exceeded limit bytes, so that goroutines are missing.
func traces(limit int) (all map[uint64]trace, cut bool) {
	for size := min(1<<18, limit); ; size = min(4*size, limit) {
		buffer := make([]byte, size)
		n := runtime.Stack(buffer, true)
		text := string(buffer[:n])
		if n < size {
			return parseTraces(text), false
		}
		if size == limit {
			whole := strings.LastIndex(text, "\n\n") // the last one may lack calls
			return parseTraces(text[:max(whole, 0)]), true
		}
	}
}

var (
	heading = regexp.MustCompile(`^goroutine (\d+) .*:$`)
	started = regexp.MustCompile(`^created by (.+) in goroutine (\d+)$`)
	place   = regexp.MustCompile(`^\t(.*):(\d+)(?: \+0x[0-9a-f]+)?$`)
)

func parseTraces(text string) map[uint64]trace {
	all := make(map[uint64]trace)
	for block := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(strings.TrimRight(block, "\n"), "\n")
		head := heading.FindStringSubmatch(lines[0])
		if head == nil {
			continue
		}
		id, _ := strconv.ParseUint(head[1], 10, 64)
		all[id] = parseTrace(lines[1:])
	}
	return all
}

// parseTrace reads pairs of lines: a call and its place.
func parseTrace(lines []string) (t trace) {
	for i := 0; i+1 < len(lines); i++ {
		at := place.FindStringSubmatch(lines[i+1])
		if at == nil {
			continue // "...additional frames elided..."
		}
		f := flow.Frame{Function: lines[i], File: at[1]}
		f.Line, _ = strconv.Atoi(at[2])
		if by := started.FindStringSubmatch(lines[i]); by != nil {
			f.Function, f.Started = by[1], true
			t.creator = f
			t.parent, _ = strconv.ParseUint(by[2], 10, 64)
		} else {
			if j := strings.LastIndexByte(f.Function, '('); j > 0 {
				f.Function = f.Function[:j]
			}
			t.frames = append(t.frames, f)
		}
		i++
	}
	return t
}
