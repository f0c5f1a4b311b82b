package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/netzero-dev/netzero/internal/ways"
)

// WriteText writes the diagnosis for people.
func (d Diagnosis) WriteText(w io.Writer) error {
	text := fmt.Sprintf("netzerotest on %s\n", d.System)
	for _, c := range d.Checks {
		text += strings.TrimRight(fmt.Sprintf("  %-8s %-14s %s", c.Status, c.Name, c.Detail), " ") + "\n"
		if c.Advice != "" {
			text += fmt.Sprintf("  %-8s %-14s -> %s\n", "", "", c.Advice)
		}
	}
	for _, o := range d.Obstacles {
		text += fmt.Sprintf("  %-8s %-14s %s\n", "no way", o.Way, o.Reason)
	}
	switch {
	case !d.Records:
		text += "Tests are NOT recorded here.\n"
	case d.Way == "" || d.Way == "direct":
		text += "Tests are recorded here.\n"
	default:
		text += fmt.Sprintf("Tests are recorded here by this way: %s (go test %s ./...).\n", d.Way, ways.Exec)
	}
	_, err := io.WriteString(w, text)
	return err
}

// WriteJSON writes the diagnosis for programs.
func (d Diagnosis) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // commands contain &&
	e.SetIndent("", "  ")
	return e.Encode(d)
}
