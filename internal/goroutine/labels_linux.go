//go:build amd64 || arm64

package goroutine

import (
	"context"
	"runtime"
	"runtime/pprof"
)

// label is one of a goroutine's, as it stands in memory: two strings, each an address and a length.
type label struct {
	key, value               string
	keyAddress, valueAddress uint64
}

const (
	labelWords = 4
	maxLabels  = 1 << 10
)

// labelsOf returns the labels in what g points to; false where there is no list of them, and where it cannot be read whole.
func labelsOf(mem memory, set uint64, list uint32) ([]label, bool) {
	header := mem.words(set+uint64(list), 2)
	if len(header) < 2 || header[1] > maxLabels {
		return nil, false
	}
	all := mem.words(header[0], labelWords*int(header[1]))
	if len(all) < labelWords*int(header[1]) {
		return nil, false
	}
	var labels []label
	for ; len(all) > 0; all = all[labelWords:] {
		l := label{key: mem.text(all[0], all[1]), value: mem.text(all[2], all[3]), keyAddress: all[0], valueAddress: all[2]}
		if uint64(len(l.key)) != all[1] || uint64(len(l.value)) != all[3] {
			return nil, false
		}
		labels = append(labels, l)
	}
	return labels, true
}

// own returns the labels of the calling goroutine; false where they cannot be read whole.
func (l Layout) own() ([]label, bool) {
	mem, err := openMemory()
	if err != nil {
		return nil, false
	}
	defer mem.close()
	w := mem.words(getg()+uint64(l.Labels), 1)
	if len(w) == 0 {
		return nil, false
	}
	if w[0] == 0 {
		return nil, true
	}
	return labelsOf(mem, w[0], l.List)
}

// Current returns the id of the calling goroutine; 0 where there is no [Layout].
func Current() uint64 { return field(func(l Layout) uint32 { return l.ID }) }

// Labels returns the address of the calling goroutine's labels, which other goroutines may share; 0 where it has none. It
// stays theirs as long as unmark of the [Mark] that has set them is kept, and was not called.
func Labels() uint64 { return field(func(l Layout) uint32 { return l.Labels }) }

// field returns a word of the calling goroutine's g; 0 where there is no [Layout].
func field(offset func(Layout) uint32) uint64 {
	l, err := Find()
	if err != nil {
		return 0
	}
	mem, err := openMemory()
	if err != nil {
		return 0
	}
	defer mem.close()
	return mem.words(getg()+uint64(offset(l)), 1).at(0)
}

// set gives the calling goroutine these labels, and no others, and returns what keeps them where they are.
func set(labels []label) context.Context {
	if len(labels) == 0 {
		pprof.SetGoroutineLabels(context.Background())
		return context.Background()
	}
	var pairs []string
	for _, l := range labels {
		pairs = append(pairs, l.key, l.value)
	}
	labelled := pprof.WithLabels(context.Background(), pprof.Labels(pairs...))
	pprof.SetGoroutineLabels(labelled)
	return labelled
}

// Mark labels the calling goroutine, and those that it starts from now on, and keeps the labels that it has. unmark takes
// the label away, or gives back the one that was there before, and returns which one is there now; on other goroutines,
// and where the label is not there any more, it changes nothing. Where there is no [Layout], and where the goroutine has more
// labels, or longer ones, than are read, Mark does nothing.
func Mark(id ID) (unmark func() ID) {
	l, err := Find()
	if err != nil {
		return func() ID { return 0 }
	}
	before, labelled, ok := l.mark(id.String())
	if !ok {
		return func() ID { return 0 }
	}
	return func() ID {
		now := l.value()
		if now == id.String() {
			l.mark(before)
			now = before
		}
		runtime.KeepAlive(labelled)
		return parseID(now)
	}
}

// Marked returns the ID by which the calling goroutine is marked, or the one that started it was; 0 where there is none.
func Marked() ID {
	l, err := Find()
	if err != nil {
		return 0
	}
	return parseID(l.value())
}

// value returns the value of our label; "" where there is none.
func (l Layout) value() string {
	labels, _ := l.own()
	for _, label := range labels {
		if label.key == Key {
			return label.value
		}
	}
	return ""
}

// mark sets our label, or removes it, and returns what it was, and what keeps the labels where they are. It changes nothing, and
// returns false, where the other labels would be lost.
func (l Layout) mark(value string) (before string, labelled context.Context, ok bool) {
	own, ok := l.own()
	if !ok {
		return "", nil, false
	}
	var labels []label
	for _, label := range own {
		if label.key == Key {
			before = label.value
			continue
		}
		labels = append(labels, label)
	}
	if value != "" {
		labels = append(labels, label{key: Key, value: value})
	}
	return before, set(labels), true
}
