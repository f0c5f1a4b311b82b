package guest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// ErrIncomplete is returned if records are missing.
var ErrIncomplete = errors.New("the guest's records are incomplete")

// maxText limits a record, so that a stray line of the kernel's destroys little.
const maxText = 1024

// Writer sends records. It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	line io.Writer
	next int
}

// NewWriter returns a Writer to a serial line.
func NewWriter(line io.Writer) *Writer { return &Writer{line: line} }

// Send sends a record. It splits a long text into several records of the same kind.
func (w *Writer) Send(r Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := r.Text
	for {
		r.Text = text[:cut(text)]
		text = text[len(r.Text):]
		if err := w.send(r); err != nil {
			return err
		}
		if text == "" {
			return nil
		}
	}
}

// cut returns the end of a text's first piece: not inside of a character, because JSON would not preserve it.
func cut(text string) int {
	if len(text) <= maxText {
		return len(text)
	}
	for n := maxText; n > maxText-utf8.UTFMax; n-- {
		if utf8.RuneStart(text[n]) {
			return n
		}
	}
	return maxText
}

func (w *Writer) send(r Record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	body := fmt.Sprintf("%d %s", w.next, base64.StdEncoding.EncodeToString(text))
	w.next++
	// Two writes: whatever damages the first copy should not damage the second one too.
	for range 2 {
		if _, err := fmt.Fprintf(w.line, "\n@%08x %s@\n", crc32.ChecksumIEEE([]byte(body)), body); err != nil {
			return fmt.Errorf("send record: %w", err)
		}
	}
	return nil
}

var frame = regexp.MustCompile(`@([0-9a-f]{8}) ((\d+) ([A-Za-z0-9+/=]*))@`)

// Parse returns the received records, in order, and the lines between them, which are the kernel's. If records are
// missing it returns the others and [ErrIncomplete].
func Parse(received []byte) (records []Record, rest []string, err error) {
	byNumber := make(map[int]Record)
	for _, m := range frame.FindAllSubmatch(received, -1) {
		if fmt.Sprintf("%08x", crc32.ChecksumIEEE(m[2])) != string(m[1]) {
			continue
		}
		var r Record
		number, err := strconv.Atoi(string(m[3]))
		text, decodeErr := base64.StdEncoding.DecodeString(string(m[4]))
		if err := errors.Join(err, decodeErr, json.Unmarshal(text, &r)); err != nil {
			return nil, nil, fmt.Errorf("decode record: %w", err)
		}
		byNumber[number] = r
	}
	for line := range strings.Lines(string(frame.ReplaceAll(received, nil))) {
		if line = strings.TrimSpace(line); line != "" {
			rest = append(rest, line)
		}
	}
	numbers := make([]int, 0, len(byNumber))
	for number := range byNumber {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	for i, number := range numbers {
		if i != number && err == nil {
			err = fmt.Errorf("%w: number %d is missing", ErrIncomplete, i)
		}
		records = append(records, byNumber[number])
	}
	if err == nil && (len(records) == 0 || records[len(records)-1].Kind != Done) {
		err = fmt.Errorf("%w: the last one is missing", ErrIncomplete)
	}
	return records, rest, err
}
