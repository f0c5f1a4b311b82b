//go:build amd64 || arm64

package goroutine

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	below  = 2048 // bytes that are read below the current frame
	window = 8192 // bytes of the stack that are read in all
	frames = 64
)

// outermost starts a known stack: outermost calls middle, which calls innermost. None of them is inlined.
//
//go:noinline
func (f *finder) outermost() error { return errors.Join(f.middle()) }

//go:noinline
func (f *finder) middle() error { return errors.Join(f.innermost()) }

// innermost finds where the runtime records a system call. It reads g and the stack in one and the same call.
//
//go:noinline
func (f *finder) innermost() error {
	callers := make([]uintptr, frames)
	callers = callers[:runtime.Callers(1, callers)]
	want := names(Frames(callers))
	for range 5 {
		var here [2]uint64
		var g, stack words
		for i := range here {
			here[i] = uint64(uintptr(unsafe.Pointer(&here[0])))
			address, n := getg(), 8*gWords
			if i == 1 {
				address, n = here[1]-below, window
			}
			if b := f.memory.read(syscall.Syscall6, address, n); i == 0 {
				g = wordsOf(b)
			} else {
				stack = wordsOf(b)
			}
		}
		if here[0] != here[1] || len(stack) == 0 {
			continue // the stack was moved between the two reads
		}
		inStack := func(word uint64) bool { return word >= here[0]-below && word < here[0]+window-below }
		outside := f.memory.words(getg(), gWords)
		sp, pc, bp := make(offsets), make(offsets), make(offsets)
		for offset := range offsetsWhere(g, inStack) {
			if outside.at(offset) == 0 {
				sp[offset] = true
			}
			for at := range offsetsWhere(g, isSystemCall) {
				chain := walk(g.at(at), g.at(offset), here[0]-below, stack)
				if ends(names(Frames(chain)), want) {
					pc[at], bp[offset] = true, true
				}
			}
		}
		if len(pc) == 0 {
			continue
		}
		f.sp, f.pc, f.bp = f.sp.and(sp), f.pc.and(pc), f.bp.and(bp)
		return nil
	}
	return errors.New("the frame pointers in a system call do not reach its callers")
}

// isSystemCall reports whether a word is an address in the function that makes system calls.
func isSystemCall(word uint64) bool {
	fn := runtime.FuncForPC(uintptr(word))
	return fn != nil && strings.HasPrefix(fn.Name(), "syscall.")
}

// walk follows frame pointers through a piece of the stack that begins at an address.
func walk(pc, bp, begin uint64, stack words) []uintptr {
	chain := []uintptr{uintptr(pc)}
	last := begin + 8*uint64(len(stack)) - 16 // a frame has two words
	for len(chain) < frames && len(stack) > 1 && bp >= begin && bp <= last && bp%8 == 0 {
		i := (bp - begin) / 8
		if stack[i+1] == 0 {
			break
		}
		chain = append(chain, uintptr(stack[i+1]))
		if stack[i] <= bp {
			break
		}
		bp = stack[i]
	}
	return chain
}

// ends reports whether stack is known, apart from outermost frames that it may lack.
func ends(stack, known []string) bool {
	at := slices.Index(stack, known[0])
	if at < 0 {
		return false
	}
	stack = stack[at:]
	n := min(len(stack), len(known))
	return n > 3 && slices.Equal(stack[:n], known[:n])
}

func names(frames []flow.Frame) []string {
	var n []string
	for _, f := range frames {
		if f.Function != "runtime.goexit" {
			n = append(n, f.Function)
		}
	}
	return n
}
