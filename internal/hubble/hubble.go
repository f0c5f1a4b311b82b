// Package hubble reads the flows that Hubble, the observer of Cilium, exports from a cluster into a recording, and
// writes a recording's flows as Hubble does.
//
// [Read] accepts the output of "hubble observe -o jsonpb" and "-o json", and the files of Hubble's exporter, also
// compressed with gzip. [Write] writes what "hubble observe --input-file" reads. The package has its own types for the
// messages (api/v1/flow/flow.proto and api/v1/observer/observer.proto of Cilium), because their Go package belongs to
// the module of Cilium itself; internal/conformance compares both.
//
// It refuses a line that is not JSON, and does not invent what Hubble lacks: recordings of a cluster have no processes
// and no programs. It decides nothing: whether flows that the cluster dropped are read is an option.
package hubble

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Options are the settings for [Read]. The zero value is for making policies of what the cluster allows.
type Options struct {
	Dropped Dropped
}

// Dropped says what becomes of flows of which the cluster let no packet pass. A notice lists them in any case, by
// reason.
type Dropped uint8

const (
	// OmitDropped leaves them out: a policy made of the recording does not allow them.
	OmitDropped Dropped = iota
	// IncludeDropped reads them like all others. They were attempted, so a policy made of the recording allows them,
	// and a check of committed policies says whether these would.
	IncludeDropped
)

// ParseDropped returns the value of a flag: "omit" or "include".
func ParseDropped(word string) (Dropped, error) {
	switch word {
	case "omit":
		return OmitDropped, nil
	case "include":
		return IncludeDropped, nil
	}
	return 0, fmt.Errorf("unknown word %q for dropped flows, want omit or include", word)
}

// IsExport reports whether a file is one that [Read] reads, and not a recording, by its first bytes. Some 4 KiB are
// enough; more do no harm.
func IsExport(head []byte) bool {
	if isGzip(head) {
		unpacked, err := gzip.NewReader(bytes.NewReader(head))
		if err != nil {
			return false
		}
		head, _ = io.ReadAll(io.LimitReader(unpacked, 64<<10)) // the head ends anywhere
	}
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte("\n"))
	decoder := json.NewDecoder(bytes.NewReader(snakeKeys(line)))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return false
	}
	for {
		key, err := decoder.Token()
		if err != nil {
			return false
		}
		switch key {
		case "flow", "node_status", "lost_events", "agent_event", "debug_event", // GetFlowsResponse and ExportEvent
			"time", "node_name", "uuid", "verdict", "IP", "l4": // Flow
			return true
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return false
		}
	}
}

func isGzip(head []byte) bool { return bytes.HasPrefix(head, []byte{0x1f, 0x8b}) }

// longestLine is the number of bytes of a line that Read accepts. Cilium's flows have some kilobytes.
const longestLine = 16 << 20

// eachLine calls do with each line that is not empty, and its number from 1. The line is valid until do returns.
func eachLine(r io.Reader, do func(line []byte) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	if head, err := in.Peek(2); err == nil && isGzip(head) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = bufio.NewReaderSize(unpacked, 64<<10)
	}
	var line []byte
	for number := 1; ; number++ {
		line = line[:0]
		part, err := in.ReadSlice('\n')
		for ; errors.Is(err, bufio.ErrBufferFull); part, err = in.ReadSlice('\n') {
			if line = append(line, part...); len(line) > longestLine {
				return fmt.Errorf("line %d: longer than %d bytes: is this the output of hubble observe -o jsonpb?",
					number, longestLine)
			}
		}
		ended := errors.Is(err, io.EOF)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("line %d: the end of the compressed file is missing (%w): copy it again", number, err)
		case err != nil && !ended:
			return fmt.Errorf("line %d: %w", number, err)
		}
		line = append(line, part...)
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if err := do(text); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
		if ended {
			return nil
		}
	}
}
