package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/atomicfile"
)

// Version is the version of the format that this package writes, and the only one that it reads.
const Version = 4

// File is a recording and its place in the cluster, as they are written to a file.
type File struct {
	Version int    `json:"version"`           // of the format; Write fills it in
	Test    string `json:"test"`              // the test's name, or "package" and the import path of a package
	Package string `json:"package,omitempty"` // import path of the package under test; empty where it is not known

	// Golden is the golden file, relative to the package's directory, with slashes. It is empty where there is none.
	Golden string `json:"golden"`

	// Started is when the recording began, in UTC. Flow.First counts from it. It is zero where it is not known.
	Started time.Time `json:"started,omitzero"`

	Recording Recording `json:"recording"`

	// Enforced says that the kernel refused what the golden file did not allow: option Enforce.
	Enforced bool `json:"enforced,omitempty"`

	// Placed is empty if the options or the manifests do not permit a placement.
	Placed Placed `json:"placed,omitzero"`

	// Check is the comparison with the golden file. It is nil if there was none: the test failed or was skipped, the
	// recording is incomplete, or there was no golden file that could be used.
	Check *Check `json:"check,omitempty"`

	// Unusable says why the test could not use its golden file: a mistake in the file, with its line, or policies of
	// other tests. It is empty if the test did not read the file, or could use it.
	Unusable string `json:"unusable,omitempty"`

	// Incomplete says why no policy may be generated from the recording: lost events, a container that could not be
	// identified, a wrong option. It is empty for a complete recording.
	Incomplete string `json:"incomplete,omitempty"`

	// Failed says that the test failed for another reason than its policy. Its flows are those of a service that did not
	// work, so no policy may be generated from them.
	Failed bool `json:"failed,omitempty"`

	// Partial says that the test may need flows that it did not open in this run: it was skipped, may have skipped a
	// subtest, or flags of go test selected a part of it. Then no rule counts as unused.
	Partial bool `json:"partial,omitempty"`

	// Options are the test's options for its policies.
	Options Options `json:"options,omitzero"`
}

// Placed is the place of a recording in the cluster, after the manifests have given workloads namespaces and ports.
type Placed struct {
	// Workloads are those that get a policy, sorted by namespace and name. Peers are other workloads of which the
	// manifests know more than the name, sorted likewise. A workload of a flow that is in neither has the label app with
	// its name.
	Workloads []Workload `json:"workloads,omitempty"`
	Peers     []Workload `json:"peers,omitempty"`

	// Flows are the flows between the workloads of the cluster, sorted, without those that the option Ignore names.
	// Policies are generated from these flows, and evaluated against them. They have no processes.
	Flows []Flow `json:"flows,omitempty"`

	// Origins has for each of Flows the index of the flow in Recording.Flows whose process and time it has, or -1 if there
	// is none. It is empty if no process is known, as in a recording of a cluster.
	Origins []int `json:"origins,omitempty"`

	Notices []Notice `json:"notices,omitempty"` // that the placement added

	// EphemeralPorts are those of the recording that neither the manifests nor the option Ports name.
	EphemeralPorts []EphemeralFlow `json:"ephemeralPorts,omitempty"`

	Namespaces map[string]map[string]string `json:"namespaces,omitempty"` // the labels of namespaces in the manifests
}

// Check is the comparison of a recording with the policies of its golden file, before an update of the file.
type Check struct {
	Dialect  string    `json:"dialect"`           // the kind of the policies: "NetworkPolicy" or "CiliumNetworkPolicy"
	Implied  []Flow    `json:"implied,omitempty"` // the flows that those of Placed imply, such as DNS queries
	Verdicts []Verdict `json:"verdicts"`          // on the flows of Placed, and then on Implied, in their order
	Unused   []string  `json:"unused,omitempty"`  // a line for each rule that no flow needed
	// NotIsolated has a line for each workload that no policy isolates, so that all of its traffic is allowed.
	NotIsolated []string `json:"notIsolated,omitempty"`
	Updated     bool     `json:"updated,omitempty"` // the test has updated the golden file afterwards
}

// Verdict says whether policies allow a flow.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	Policy  string  `json:"policy,omitempty"`  // the policy that allows or denies the flow
	Reason  string  `json:"reason,omitempty"`  // one line: the rule, or the nearest rule and how it differs
	Ingress bool    `json:"ingress,omitempty"` // the policies of the destination decided, not those of the source

	// WouldRefuse says that the kernel refuses such a flow if the test has the option Enforce. Other denied flows are
	// judged when the test ends. If the test had the option, Flow.Refused says what the kernel did.
	WouldRefuse bool `json:"wouldRefuse,omitempty"`

	Requests []Verdict `json:"requests,omitempty"` // on the flow's requests, in their order; none if it is opaque
}

// Outcome is what policies do with a flow.
type Outcome string

// The outcomes of an evaluation.
const (
	OutcomeAllowed       Outcome = "allowed"
	OutcomeDenied        Outcome = "denied"
	OutcomeUnprotected   Outcome = "unprotected"   // no policy isolates its ends, so that it is allowed
	OutcomeInexpressible Outcome = "inexpressible" // no policy can allow it, such as a lookup without an answer
)

// dialects and outcomes are the words of a file.
var (
	dialects = []string{"NetworkPolicy", "CiliumNetworkPolicy"}
	outcomes = []Outcome{OutcomeAllowed, OutcomeDenied, OutcomeUnprotected, OutcomeInexpressible}
)

// fileMode lets other users read the file: a test that runs as root writes for the user who started it.
const fileMode = 0o644

// Write writes the recording to a file as JSON, with LF as line ends. The file replaces an older one in one step, so
// that a reader sees either of them whole. The directory has to exist. A recording that [Read] would refuse is an
// error.
func (r File) Write(path string) error {
	r.Version = Version
	err := r.Validate()
	if err == nil {
		err = WriteJSON(path, r)
	}
	if err != nil {
		return fmt.Errorf("write recording %s: %w", path, err)
	}
	return nil
}

// Read reads a file that [File.Write] wrote. The error names the file and what is wrong with it.
func Read(path string) (File, error) {
	file, err := os.Open(path)
	if err != nil {
		return File{}, fmt.Errorf("read recording: %w", err)
	}
	defer file.Close()
	r, err := Decode(file)
	if err != nil {
		return File{}, fmt.Errorf("read recording %s: %w", path, err)
	}
	return r, nil
}

// Decode reads the text of a file that [File.Write] wrote, which may be compressed with gzip. The error says what is
// wrong with it. Decode reads no more than the beginning of what is not a JSON object, such as an endless device.
func Decode(in io.Reader) (File, error) {
	buffered := bufio.NewReader(in)
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return File{}, cutOff(err)
		}
		buffered = bufio.NewReader(unpacked)
	}
	const enough = 512 // bytes to find the beginning of the object
	head, err := buffered.Peek(enough)
	switch begin := bytes.TrimLeft(head, " \t\r\n"); {
	case len(begin) == 0 && errors.Is(err, io.EOF):
		return File{}, errors.New("it is empty")
	case err != nil && !errors.Is(err, io.EOF):
		return File{}, cutOff(err)
	case !bytes.HasPrefix(begin, []byte("{")):
		return File{}, errors.New("it is no recording: it does not begin with {, as JSON of NETZERO_RECORDINGS does")
	}
	text, err := io.ReadAll(buffered)
	if err != nil {
		return File{}, cutOff(err)
	}
	var r File
	if err := decode(text, &r); err != nil {
		return File{}, err
	}
	return r, r.Validate()
}

// cutOff returns an error with advice, if the end of a file is missing.
func cutOff(err error) error {
	var syntax *json.SyntaxError
	isCut := errors.As(err, &syntax) && strings.HasPrefix(syntax.Error(), "unexpected end") // package json has no sentinel
	if isCut || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("its end is missing (%w): record it, or copy it, again", err)
	}
	return err
}

// Validate returns an error if the file has another version, or if [ToFlows], [ToEphemeralPorts] or [ToProtocol]
// refuses what was placed, or if the origins or the verdicts do not fit the flows.
func (r File) Validate() error {
	if err := checkVersion(r.Version); err != nil {
		return err
	}
	if _, err := ToFlows(r.Placed.Flows); err != nil {
		return fmt.Errorf("placed: %w", err)
	}
	if n := len(r.Placed.Origins); n > 0 && n != len(r.Placed.Flows) {
		return fmt.Errorf("placed: %d origins of %d flows", n, len(r.Placed.Flows))
	}
	for i, at := range r.Placed.Origins {
		if at < -1 || at >= len(r.Recording.Flows) {
			return fmt.Errorf("placed: origin %d: there is no flow %d in the recording", i, at)
		}
	}
	if _, err := ToEphemeralPorts(r.Placed.EphemeralPorts); err != nil {
		return fmt.Errorf("placed: %w", err)
	}
	for _, w := range slices.Concat(r.Placed.Workloads, r.Placed.Peers) {
		for _, p := range w.Ports {
			if _, err := ToProtocol(p.Protocol); err != nil {
				return fmt.Errorf("placed: workload %s: port %s: %w", w.Name, p.Name, err)
			}
		}
	}
	if r.Check == nil {
		return nil
	}
	if err := r.Check.validate(r.Placed.Flows); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}

// validate returns an error unless there is a valid verdict on each of the placed flows and on each implied one, by
// policies of a known dialect, and on each of their requests or none.
func (c *Check) validate(placed []Flow) error {
	if !slices.Contains(dialects, c.Dialect) {
		return fmt.Errorf("unknown dialect %q", c.Dialect)
	}
	if _, err := ToFlows(c.Implied); err != nil {
		return fmt.Errorf("implied: %w", err)
	}
	flows := slices.Concat(placed, c.Implied)
	if len(c.Verdicts) != len(flows) {
		return fmt.Errorf("%d verdicts on %d flows", len(c.Verdicts), len(flows))
	}
	for i, v := range c.Verdicts {
		if n := len(flows[i].Requests); len(v.Requests) > 0 && len(v.Requests) != n {
			return fmt.Errorf("verdict %d: %d verdicts on %d requests", i, len(v.Requests), n)
		}
		for _, v := range slices.Concat(v.Requests, []Verdict{v}) {
			if !slices.Contains(outcomes, v.Outcome) {
				return fmt.Errorf("verdict %d: unknown outcome %q", i, v.Outcome)
			}
		}
	}
	return nil
}

// ReadJSON reads a value that [WriteJSON] wrote. It refuses unknown fields, and values of another [Version].
func ReadJSON(path string, value any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return decode(text, value)
}

func decode(text []byte, value any) error {
	var of struct {
		Version int `json:"version"`
	}
	// Another version may have other fields: the version is what is wrong then, not the field.
	if err := json.Unmarshal(text, &of); err != nil {
		return cutOff(err)
	}
	if of.Version == 0 {
		return fmt.Errorf("it is no recording: it has no version, want %d", Version)
	}
	if err := checkVersion(of.Version); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(value)
}

func checkVersion(version int) error {
	if version != Version {
		return fmt.Errorf("unknown version %d, want %d: record it again with this version of NetZero", version, Version)
	}
	return nil
}

// WriteJSON writes a value to a file, as [File.Write] does.
func WriteJSON(path string, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	return Replace(path, text.Bytes())
}

// Replace writes a text to a file that other users may read. The file replaces an older one in one step; after an error
// the older one stays. The directory has to exist. A device or a pipe is written to.
func Replace(path string, text []byte) error {
	return atomicfile.Write(path, text, func(file *os.File) error { return file.Chmod(fileMode) })
}
