package guest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// State is the support of a capability by a kernel.
type State string

const (
	Recorded  State = "recorded"   // fully, by the kernel itself
	FallsBack State = "falls back" // Text is the fallback
	Refused   State = "refused"    // Text is the reason
	Reported  State = "reported"   // Text is the value
	Measured  State = "measured"   // Text is a value that differs between runs, so nothing compares it
)

// Capability is a passed test's declaration about its kernel.
type Capability struct {
	Name  string
	State State
	Text  string `json:",omitempty"`
}

// String returns the capability for people, without the name: recorded, or refused: because.
func (c Capability) String() string {
	if c.Text == "" {
		return string(c.State)
	}
	return fmt.Sprintf("%s: %s", c.State, c.Text)
}

// capabilityMark precedes each capability in a test's log.
const capabilityMark = "kernel capability: "

// Line returns the line that declares a capability in a test's log.
func (c Capability) Line() string {
	text, err := json.Marshal(c)
	if err != nil {
		return capabilityMark + err.Error() // three strings cannot fail to encode
	}
	return capabilityMark + string(text)
}

// ParseCapability returns the capability in a line of a test's output. found is false for a line without one; a damaged
// one is an error.
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
