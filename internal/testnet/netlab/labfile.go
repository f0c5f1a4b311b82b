// Package netlab is the command netlab: it builds the lab that a file describes, runs a program inside, and leaves
// nothing behind. It is testnet for scripts; [Usage] describes the file format.
//
// It rejects a file with any unknown content, and it knows nothing of the program that it runs: its own failures end
// with exit code 125 and a line that starts with "netlab:".
package netlab

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/netzero-dev/netzero/internal/testnet"
)

// step is one parsed line of a lab file.
type step struct {
	line int
	do   func(*testnet.Lab) error
}

// labFile is a parsed lab file.
type labFile struct {
	zone  *testnet.Zone
	site  http.Handler // of web servers on later lines; nil is that of [testnet.Lab.ServeHTTP]
	steps []step
}

// words are the first words of lines: the minimum and maximum number of arguments (-1: any number), and the action.
var words = map[string]struct {
	least, most int
	do          func(lab *testnet.Lab, file *labFile, args []string) error
}{
	"host": {1, -1, func(lab *testnet.Lab, _ *labFile, args []string) error {
		return lab.Host(args...)
	}},
	"tcp": {1, 1, func(lab *testnet.Lab, _ *labFile, args []string) error {
		_, err := lab.ServeTCP(args[0], nil)
		return err
	}},
	"udp": {1, 1, func(lab *testnet.Lab, _ *labFile, args []string) error {
		_, err := lab.ServeUDP(args[0], nil)
		return err
	}},
	"answer": {1, -1, func(_ *testnet.Lab, file *labFile, args []string) (err error) {
		file.site, err = parseAnswer(strings.Join(args, " "))
		return err
	}},
	"http": {1, 1, func(lab *testnet.Lab, file *labFile, args []string) error {
		_, err := lab.ServeHTTP(args[0], file.site)
		return err
	}},
	"tls": {2, -1, func(lab *testnet.Lab, file *labFile, args []string) error {
		_, err := lab.ServeTLS(args[0], file.site, args[1:]...)
		return err
	}},
	"silent": {1, 1, func(lab *testnet.Lab, _ *labFile, args []string) error {
		_, err := lab.ServeSilent(args[0])
		return err
	}},
	"dns": {1, 1, func(lab *testnet.Lab, file *labFile, args []string) error {
		_, err := lab.ServeDNS(args[0], file.zone)
		return err
	}},
	"record": {3, -1, func(_ *testnet.Lab, file *labFile, args []string) error {
		return file.zone.Add(strings.Join(args, " "))
	}},
	"truncate": {0, 0, func(_ *testnet.Lab, file *labFile, _ []string) error {
		file.zone.Truncate(true)
		return nil
	}},
	"search": {1, -1, func(lab *testnet.Lab, _ *labFile, args []string) error {
		lab.Search(args...)
		return nil
	}},
	"ndots": {1, 1, func(lab *testnet.Lab, _ *labFile, args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return fmt.Errorf("set ndots: %w", err)
		}
		lab.Ndots(n)
		return nil
	}},
}

// parse reads a lab file: a word and its arguments per line, "#" starts a comment. Errors name the line.
func parse(name string, r io.Reader) (*labFile, error) {
	file := &labFile{zone: new(testnet.Zone)}
	scanner := bufio.NewScanner(r)
	for number := 1; scanner.Scan(); number++ {
		line, _, _ := strings.Cut(scanner.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		word, known := words[fields[0]]
		if !known {
			all := strings.Join(slices.Sorted(maps.Keys(words)), ", ")
			return nil, fmt.Errorf("%s:%d: unknown word %q, want one of %s", name, number, fields[0], all)
		}
		args := fields[1:]
		if len(args) < word.least || word.most >= 0 && len(args) > word.most {
			return nil, fmt.Errorf("%s:%d: wrong number of arguments to %q: %d", name, number, fields[0], len(args))
		}
		file.steps = append(file.steps, step{number, func(lab *testnet.Lab) error {
			return word.do(lab, file, args)
		}})
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return file, nil
}

// build applies the file to the lab.
func (f *labFile) build(name string, lab *testnet.Lab) error {
	for _, step := range f.steps {
		if err := step.do(lab); err != nil {
			return fmt.Errorf("%s:%d: %w", name, step.line, err)
		}
	}
	return nil
}

// parseAnswer returns a site that answers every request with one line: text, a [template.Template] that is executed
// with the [http.Request].
func parseAnswer(text string) (http.Handler, error) {
	answer, err := template.New("answer").Parse(text + "\n")
	if err != nil {
		return nil, fmt.Errorf("parse answer: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		if err := answer.Execute(&b, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(b.Bytes())
	}), nil
}
