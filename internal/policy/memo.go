package policy

import (
	"sync"
)

// memo caches the parsed values of the last few annotations. Every flow is evaluated against the lists, and a list
// may have as many entries as there are flows. Comparing a string with itself costs nothing.
type memo[T any] struct {
	mu     sync.Mutex
	recent [16]struct {
		text string
		read T
	}
	known, next int
}

// read returns the parsed value of a text. The result is shared and must not be modified.
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

// Description describes in words what a rule or name allows, with the port names in it.
type Description struct {
	Text      string
	PortNames []string
}

// Descriptions caches the descriptions of rules and names. A rule may have as many ports as there are flows that it
// denies.
type Descriptions struct {
	mu sync.Mutex
	of map[string]Description
}

// Get returns the description of a rule or name. It calls read once for each.
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
