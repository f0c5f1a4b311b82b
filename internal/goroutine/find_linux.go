//go:build amd64 || arm64

package goroutine

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"runtime"
	"sync"
)

const (
	gWords  = 64      // words of g that are read
	maxSlot = 1 << 20 // bytes below the thread pointer
	threads = 3       // that are inspected in parallel

	// Attempts on a goroutine that may be moved to another thread meanwhile.
	attempts    = 20
	maxAttempts = 1000
)

// finder narrows down the candidate offsets, goroutine by goroutine.
type finder struct {
	memory memory

	mu  sync.Mutex
	err error // the first one

	slots                       map[int64]bool
	labels, id, parent, creator offsets
	sp, pc, bp                  offsets
	list                        offsets
	key                         uint64
}

func find() (Layout, error) {
	mem, err := openMemory()
	if err != nil {
		return Layout{}, err
	}
	defer mem.close()
	f := &finder{memory: mem}
	var ready, done sync.WaitGroup
	ready.Add(threads)
	done.Add(threads)
	f.start(threads, &ready, &done)
	done.Wait()
	if f.err != nil {
		return Layout{}, f.err
	}
	l, err := f.layout()
	if err != nil {
		return Layout{}, err
	}
	moving := make(chan struct{})
	go func() { // not locked to a thread, unlike perhaps the caller
		defer close(moving)
		l.M, l.Current = findCurrent(mem, l)
	}()
	<-moving
	return l, nil
}

// start starts a goroutine that starts the next one, so that each has another parent. Each one inspects itself once all
// of them have their own thread.
func (f *finder) start(n int, ready, done *sync.WaitGroup) {
	go func() {
		defer done.Done()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if n > 1 {
			f.start(n-1, ready, done)
		}
		ready.Done()
		ready.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.err == nil {
			f.err = f.inspect()
		}
	}()
}

// inspect narrows everything down with the calling goroutine, which is locked to its thread.
func (f *finder) inspect() error {
	if err := f.findSlot(); err != nil {
		return err
	}
	if err := f.findLabels(); err != nil {
		return err
	}
	if err := f.findOrigin(); err != nil {
		return err
	}
	return f.outermost()
}

// findSlot finds the place where the thread keeps g.
func (f *finder) findSlot() error {
	if inRegister {
		return nil
	}
	g := getg()
	thread, err := threadPointer()
	if err != nil {
		return err
	}
	if f.slots != nil { // another thread has searched: here only its finds count
		maps.DeleteFunc(f.slots, func(slot int64, _ bool) bool {
			return f.memory.words(thread+uint64(slot), 1).at(0) != g
		})
		return f.slotsLeft()
	}
	f.slots = make(map[int64]bool)
	const page = 4096
	for offset := int64(-page); offset >= -maxSlot; offset -= page {
		w := f.memory.words(thread+uint64(offset), page/8)
		for i, word := range w {
			if word == g {
				f.slots[offset+int64(8*i)] = true
			}
		}
		if len(w) == 0 {
			break
		}
	}
	return f.slotsLeft()
}

// slotsLeft returns an error if no place is left where the threads keep g.
func (f *finder) slotsLeft() error {
	if len(f.slots) == 0 {
		return errors.New("the thread has no pointer to its goroutine")
	}
	return nil
}

// layout returns the remaining candidates, or an error if one of them is not certain.
func (f *finder) layout() (l Layout, err error) {
	only := func(o offsets, what string) uint32 {
		offset, uncertain := o.only(what)
		err = cmp.Or(err, uncertain)
		return offset
	}
	l = Layout{
		Register: inRegister,
		Key:      f.key, KeyLength: uint64(len(Key)),
		List:   only(f.list, "the list of labels"),
		Labels: only(f.labels, "the labels"), ID: only(f.id, "the goroutine's id"),
		Parent:  only(f.parent, "the parent's id"),
		Creator: only(f.creator, "the creation site"),
	}
	if l.SyscallSP, l.SyscallPC, l.SyscallBP = f.registers(); l.SyscallSP == 0 {
		err = cmp.Or(err, errors.New("a system call does not save its stack pointer"))
	}
	if !inRegister {
		l.Slot = math.MinInt64
		for slot := range f.slots {
			l.Slot = max(l.Slot, slot) // the stack is below the thread's own data and may contain g as well
		}
	}
	return l, err
}

// registers returns the offsets in g of the stack pointer (0 outside of system calls), the program counter and the
// frame pointer. During a system call the scheduler's copies have the same values; those of the system call are
// adjacent and come last.
func (f *finder) registers() (sp, pc, bp uint32) {
	closest := uint32(math.MaxUint32)
	for s := range f.sp {
		for p := range f.pc {
			for b := range f.bp {
				span := max(s, p, b) - min(s, p, b)
				if s != b && (span < closest || span == closest && s+p+b > sp+pc+bp) {
					closest, sp, pc, bp = span, s, p, b
				}
			}
		}
	}
	return sp, pc, bp
}
