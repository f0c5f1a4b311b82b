package report

import (
	"strconv"
	"strings"
)

// maxAnnotations is the number of errors, and of warnings, that GitHub shows of one step.
const maxAnnotations = 10

// Annotations returns findings as workflow commands of GitHub Actions: those that fail the test as errors, the others
// as warnings. Each line ends with a line end. GitHub reads a command only at the beginning of a line. If there are
// more findings of a kind than GitHub shows, the last command of the kind says so.
//
// Texts are escaped as GitHub's toolkit does: %, CR and LF, and in properties the colon and the comma too.
func Annotations(findings []Finding) (errors, warnings string) {
	var failing, others []Finding
	for _, f := range findings {
		if f.Fails {
			failing = append(failing, f)
		} else {
			others = append(others, f)
		}
	}
	return commands("error", failing), commands("warning", others)
}

// commands returns workflow commands with one name.
func commands(name string, findings []Finding) string {
	var b strings.Builder
	for i, f := range findings {
		if more := len(findings) - i; i == maxAnnotations-1 && more > 1 {
			f = Finding{Title: "netzero: " + strconv.Itoa(more) + " more", Text: "See the log of this step."}
		}
		properties := []string{"title=" + property(f.Title)}
		if f.Place.File != "" && f.Place.Line > 0 {
			properties = append([]string{"line=" + strconv.Itoa(f.Place.Line)}, properties...)
		}
		if f.Place.File != "" {
			properties = append([]string{"file=" + property(f.Place.File)}, properties...)
		}
		b.WriteString("::" + name + " " + strings.Join(properties, ",") + "::" + commandData.Replace(f.Text) + "\n")
		if i == maxAnnotations-1 {
			break
		}
	}
	return b.String()
}

var (
	commandData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer(":", "%3A", ",", "%2C")
)

func property(text string) string { return commandProperty.Replace(commandData.Replace(text)) }
