package guest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// State is how a kernel stands to a capability.
type State string

const (
	Recorded  State = "recorded"   // fully, by the kernel itself
	FallsBack State = "falls back" // Text says to what
	Refused   State = "refused"    // Text says why
	Reported  State = "reported"   // Text says what it is
)

// Capability is what a test says, once it has passed, of the kernel that it ran on.
type Capability struct {
	Name  string
	State State
	Text  string `json:",omitempty"`
}

// String returns what a person reads, without the name: recorded, or refused: because.
func (c Capability) String() string {
	if c.Text == "" {
		return string(c.State)
	}
	return fmt.Sprintf("%s: %s", c.State, c.Text)
}

// capabilityMark is in front of each capability in a test's log.
const capabilityMark = "kernel capability: "

// Line returns the line by which a test tells a capability in its log.
func (c Capability) Line() string {
	text, err := json.Marshal(c)
	if err != nil {
		return capabilityMark + err.Error() // of three strings: there is none
	}
	return capabilityMark + string(text)
}

// ParseCapability returns the capability in a line of a test's output. A line without one is not found; one that is spoilt is
// an error.
func ParseCapability(line string) (c Capability, found bool, err error) {
	_, text, found := strings.Cut(line, capabilityMark)
	if !found {
		return c, false, nil
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, true, fmt.Errorf("read capability %q: %w", strings.TrimSpace(text), err)
	}
	if c.Name == "" || c.State == "" {
		return c, true, fmt.Errorf("read capability %q: it has no name or no state", strings.TrimSpace(text))
	}
	return c, true, nil
}
