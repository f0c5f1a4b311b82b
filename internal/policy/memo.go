package policy

import (
	"sync"
)

// memo remembers what was read from the texts of the last few annotations: a verdict is asked for each flow, and a list may
// have as many entries as there are flows. To compare a text with itself takes no time.
type memo[T any] struct {
	mu     sync.Mutex
	recent [16]struct {
		text string
		read T
	}
	known, next int
}

// read returns what read makes of a text. The result is shared: nobody may change it.
func (m *memo[T]) read(text string, read func(string) T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.recent[:m.known] {
		if r := &m.recent[i]; r.text == text {
			return r.read
		}
	}
	r := &m.recent[m.next]
	r.text, r.read = text, read(text)
	m.next = (m.next + 1) % len(m.recent)
	m.known = max(m.known, m.next, min(m.known+1, len(m.recent)))
	return r.read
}

// Description is to what something opens, in words, and the names of ports among that.
type Description struct {
	Text      string
	PortNames []string
}

// Descriptions remembers what rules and names open: a rule may have as many ports as there are flows that it denies.
type Descriptions struct {
	mu sync.Mutex
	of map[string]Description
}

// Get returns what read says of something, which it asks once.
func (o *Descriptions) Get(of string, read func() Description) Description {
	o.mu.Lock()
	defer o.mu.Unlock()
	known, ok := o.of[of]
	if !ok {
		if o.of == nil {
			o.of = make(map[string]Description)
		}
		known = read()
		o.of[of] = known
	}
	return known
}
