package editor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The Go extension runs go test with the variables of go.testEnvVars, on top of go.toolsEnvVars. It ignores
// go.buildFlags, such as build tags, once go.testFlags is set, so the flag is not added there.
const (
	testVariables  = "go.testEnvVars"
	toolsVariables = "go.toolsEnvVars"
)

func vscodeSettings(exec Exec) string {
	return fmt.Sprintf(`VS Code, in .vscode/settings.json:

    %q: {
        "GOFLAGS": %s
    }

It counts for "run test", the test explorer and the tasks of the Go extension. "debug test" runs the test
binary under a debugger, and is not recorded.
`, testVariables, quoteJSON(exec.Flags()))
}

func writeVSCode(dir string, exec Exec) (Written, error) {
	path := filepath.Join(dir, ".vscode", "settings.json")
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Written{}, err
	}
	text, err := mergeSettings(string(old), exec)
	if err != nil {
		return Written{}, fmt.Errorf("%s: %w", path, err)
	}
	if text == string(old) {
		return Written{Path: path}, nil
	}
	return Written{Path: path, Changed: true}, replaceFile(path, text)
}

// mergeSettings returns settings.json with GOFLAGS among the variables of tests. Everything else stays, byte for byte.
func mergeSettings(text string, exec Exec) (string, error) {
	if strings.TrimSpace(strings.TrimPrefix(text, "\ufeff")) == "" {
		text += "{\n}\n"
	}
	root, err := parseJSON(text)
	if err != nil {
		return "", err
	}
	if root.kind != '{' {
		return "", errors.New("it is no JSON object")
	}
	merged, err := mergeVariables(text, root, exec)
	if err != nil || merged == text {
		return merged, err
	}
	// What was written is what is read.
	if root, err = parseJSON(merged); err == nil {
		if again, err := mergeVariables(merged, root, exec); err == nil && again == merged {
			return merged, nil
		}
	}
	return "", errors.New("it cannot be changed safely")
}

func mergeVariables(text string, root *value, exec Exec) (string, error) {
	variables := root.member(testVariables)
	inherited := root.member(toolsVariables).member("GOFLAGS").text()
	if variables == nil {
		flags, err := exec.addFlags(inherited)
		if err != nil {
			return "", err
		}
		indent := root.indent("    ")
		object := fmt.Sprintf("{\n%s%s%q: %s\n%s}", indent, indent, "GOFLAGS", quoteJSON(flags), indent)
		return root.insert(text, testVariables, object, indent, ""), nil
	}
	if variables.kind != '{' {
		return "", fmt.Errorf("%s is no object", testVariables)
	}
	old := variables.member("GOFLAGS")
	if old != nil && old.kind != '"' {
		return "", errors.New("GOFLAGS is no string")
	}
	if old != nil {
		inherited = old.text()
	}
	flags, err := exec.addFlags(inherited)
	if err != nil {
		return "", err
	}
	if old == nil {
		outer := root.indent("    ")
		return variables.insert(text, "GOFLAGS", quoteJSON(flags), variables.indent(outer+outer), outer), nil
	}
	if flags == inherited {
		return text, nil
	}
	return text[:old.start] + quoteJSON(flags) + text[old.end:], nil
}

// insert adds a member as the first one of an object in a text, with the indentations of members and of the object.
func (v *value) insert(text, name, content, indent, outer string) string {
	at := v.start + 1
	member := "\n" + indent + quoteJSON(name) + ": " + content
	if len(v.members) > 0 {
		member += ","
	}
	if rest := strings.TrimLeft(text[at:], " \t"); !strings.HasPrefix(rest, "\n") && !strings.HasPrefix(rest, "\r\n") {
		if len(v.members) == 0 {
			indent = outer
		}
		member += "\n" + indent
		text = text[:at] + rest
	}
	if strings.Contains(text, "\r\n") {
		member = strings.ReplaceAll(member, "\n", "\r\n")
	}
	return text[:at] + member + text[at:]
}

// quoteJSON returns a JSON string. It leaves <, > and & as they are.
func quoteJSON(s string) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can be encoded
	return strings.TrimSuffix(out.String(), "\n")
}
