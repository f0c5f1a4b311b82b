//go:build amd64 || arm64

package goroutine

import (
	"context"
	"runtime"
	"runtime/pprof"
)

// label is a goroutine's label in memory: two strings, each an address and a length.
type label struct {
	key, value               string
	keyAddress, valueAddress uint64
}

const (
	labelWords = 4
	maxLabels  = 1 << 10
)

// labelsOf returns the labels that g points to; false if there is no list of labels or it cannot be read completely.
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
		l := label{key: mem.text(all[0], all[1]), value: mem.text(all[2], all[3]), keyAddress: all[0],
			valueAddress: all[2]}
		if uint64(len(l.key)) != all[1] || uint64(len(l.value)) != all[3] {
			return nil, false
		}
		labels = append(labels, l)
	}
	return labels, true
}

// current returns the labels of the calling goroutine; false if they cannot be read completely.
func (l Layout) current() ([]label, bool) {
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

// Current returns the id of the calling goroutine; 0 without a [Layout].
func Current() uint64 { return field(func(l Layout) uint32 { return l.ID }) }

// Labels returns the address of the calling goroutine's labels, which other goroutines may share; 0 if it has none. The
// address stays valid as long as the unmark function of the [Mark] that set the labels is referenced and not called.
func Labels() uint64 { return field(func(l Layout) uint32 { return l.Labels }) }

// field returns a word of the calling goroutine's g; 0 without a [Layout].
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

// set replaces all labels of the calling goroutine. The returned context keeps the labels at their address.
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

// Mark labels the calling goroutine and those that it starts from now on, and keeps their other labels. unmark removes
// the label, or restores the previous one, and returns the current ID. On another goroutine, or if the label has
// changed since, unmark changes nothing. Mark does nothing without a [Layout], or if the goroutine has more or longer
// labels than this package reads.
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

// Marked returns the ID with which the calling goroutine, or the one that started it, is marked; 0 if there is none.
func Marked() ID {
	l, err := Find()
	if err != nil {
		return 0
	}
	return parseID(l.value())
}

// value returns the value of our label; "" if there is none.
func (l Layout) value() string {
	labels, _ := l.current()
	for _, label := range labels {
		if label.key == Key {
			return label.value
		}
	}
	return ""
}

// mark sets or removes our label. It returns the previous value, and a context that keeps the labels at their address.
// It returns false and changes nothing if the other labels would be lost.
func (l Layout) mark(value string) (before string, labelled context.Context, ok bool) {
	now, ok := l.current()
	if !ok {
		return "", nil, false
	}
	var labels []label
	for _, label := range now {
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
