//go:build amd64 || arm64

package goroutine

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// findLabels finds the pointer that changes with the labels and changes back with them, and the list behind it.
func (f *finder) findLabels() error {
	defer set(nil)
	g := getg()
	one := []label{{key: Key, value: NewID().String()}}
	more := []label{{key: "a", value: "1"}, {key: Key, value: NewID().String()}, {key: "z", value: ""}}
	read := func(labels []label) words {
		set(labels)
		return f.memory.words(g, gWords)
	}
	a, b, c, none := read(one), read(more), read(one), read(nil)
	if len(none) < len(a) || len(b) < len(a) || len(c) < len(a) {
		return errors.New("the memory of this process cannot be read")
	}
	changes := make(offsets)
	for i := range a {
		if b[i] != 0 && a[i] != b[i] && b[i] != c[i] && a[i] != 0 && c[i] != 0 && none[i] == 0 {
			changes[uint32(8*i)] = true
		}
	}
	f.labels = f.labels.and(changes)
	// an earlier set, perhaps adjacent in memory, has other values
	one[0].value, more[1].value = NewID().String(), NewID().String()
	for _, labels := range [][]label{one, more} {
		at := read(labels)
		lists := make(offsets)
		for offset := range f.labels {
			for list := uint32(0); list < 64; list += 8 {
				found, ok := labelsOf(f.memory, at.at(offset), list)
				if !ok || !slices.EqualFunc(labels, found,
					func(a, b label) bool { return a.key == b.key && a.value == b.value }) {
					continue
				}
				for _, l := range found {
					if l.key == Key && (f.key == 0 || f.key == l.keyAddress) {
						f.key, lists[list] = l.keyAddress, true
					}
				}
			}
		}
		f.list = f.list.and(lists)
	}
	return nil
}

// The runtime prints a goroutine's origin in this form.
var (
	itself  = regexp.MustCompile(`^goroutine (\d+) `)
	created = regexp.MustCompile(`\ncreated by .+ in goroutine (\d+)\n\t(.*):(\d+) \+0x([0-9a-f]+)\n`)
)

// findOrigin finds the ids of the goroutine and its parent, and the place of its creation, by comparing with the
// runtime's printed trace.
func (f *finder) findOrigin() error {
	buffer := make([]byte, 1<<16)
	text := string(buffer[:runtime.Stack(buffer, false)])
	self, from := itself.FindStringSubmatch(text), created.FindStringSubmatch(text)
	if self == nil || from == nil {
		return fmt.Errorf("the runtime's stack trace has an unknown format: %.40q", text)
	}
	id, _ := strconv.ParseUint(self[1], 10, 64)
	parent, _ := strconv.ParseUint(from[1], 10, 64)
	offset, _ := strconv.ParseUint(from[4], 16, 64)
	w := f.memory.words(getg(), gWords)
	f.id = f.id.and(offsetsWhere(w, func(word uint64) bool { return word == id }))
	f.parent = f.parent.and(offsetsWhere(w, func(word uint64) bool { return word == parent }))
	f.creator = f.creator.and(offsetsWhere(w, func(word uint64) bool {
		fn := runtime.FuncForPC(uintptr(word))
		if fn == nil || uint64(fn.Entry())+offset != word {
			return false
		}
		at := runtime.FuncForPC(uintptr(word) - 1)
		file, line := at.FileLine(uintptr(word) - 1)
		return file == from[2] && strconv.Itoa(line) == from[3]
	}))
	return nil
}

// findCurrent finds the path from a thread's own goroutine to the one that it runs: the offset of M in g, and the
// offset in M of the pointer back. It inspects a goroutine that is not locked to its thread, because for a locked one
// the M has a second pointer. That goroutine may be moved during the inspection, so an offset counts if nearly all
// successful attempts find it.
func findCurrent(mem memory, l Layout) (m, current uint32) {
	type places struct{ m, current uint32 }
	seen := make(map[places]int)
	useful := 0
	for n := 0; n < maxAttempts && useful < attempts; n++ {
		runtime.Gosched()
		g, found := getg(), false
		for i, word := range mem.words(g, gWords) {
			offset := uint32(8 * i)
			if word < 4096 || word%8 != 0 || word == g {
				continue
			}
			members := mem.words(word, gWords)
			back := offsetsWhere(members, func(word uint64) bool { return word == g })
			if len(back) == 0 || !l.hasThreadGoroutine(mem, members, word, offset) {
				continue
			}
			for at := range back {
				if !l.isSlot(word + uint64(at)) {
					seen[places{offset, at}]++
					found = true
				}
			}
		}
		if found {
			useful++
		}
	}
	var certain []places
	for p, n := range seen {
		if useful == attempts && n > attempts*3/4 {
			certain = append(certain, p)
		}
	}
	// Behind this g another one may follow, of a goroutine that ran on the same M before.
	slices.SortFunc(certain, func(a, b places) int { return cmp.Compare(a.m, b.m) })
	if len(certain) == 0 || len(certain) > 1 && certain[0].m == certain[1].m {
		return 0, 0
	}
	return certain[0].m, certain[0].current
}

// hasThreadGoroutine reports whether an M has a goroutine without an id, which is the M's own.
func (l Layout) hasThreadGoroutine(mem memory, members words, m uint64, offset uint32) bool {
	return slices.ContainsFunc(members, func(g uint64) bool {
		if g < 4096 || g%8 != 0 {
			return false
		}
		w := mem.words(g, gWords)
		return len(w) > 0 && w.at(offset) == m && w.at(l.ID) == 0
	})
}

// isSlot reports whether the calling goroutine's thread keeps its g at this address, which may be in the M.
func (l Layout) isSlot(address uint64) bool {
	if l.Register {
		return false
	}
	thread, err := threadPointer()
	return err == nil && address == thread+uint64(l.Slot)
}
