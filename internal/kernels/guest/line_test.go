package guest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sent = []Record{
	{Kind: Hello, Text: "6.12.0"},
	{Kind: Output, Package: "p", Text: "\x16--- PASS: TestA (0.00s)\nodd @ text\n"},
	{Kind: Done},
}

// line returns the sent records, one string for every write.
func line(t *testing.T) []string {
	t.Helper()
	var writes pieces
	w := NewWriter(&writes)
	for _, r := range sent {
		if err := w.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	return writes
}

type pieces []string

func (p *pieces) Write(b []byte) (int, error) {
	*p = append(*p, string(b))
	return len(b), nil
}

func TestRecords_SurviveKernelOutput(t *testing.T) {
	w := line(t)
	half := len(w[2]) / 2
	for _, c := range []struct {
		reason string
		text   string
		rest   []string
	}{
		{"nobody else writes", strings.Join(w, ""), nil},
		{"a terminal writes CR LF", strings.ReplaceAll(strings.Join(w, ""), "\n", "\r\n"), nil},
		{"the kernel writes between records", "Booting" + w[0] + "[ 1.0] oops\n" + strings.Join(w[1:], ""),
			[]string{"Booting", "[ 1.0] oops"}},
		{"the kernel writes into one copy", w[0] + w[1] + w[2][:half] + "[ 1.0] oops\n" + w[2][half:] + w[3] + w[4] +
			w[5], nil},
		{"one copy is gone", w[0] + w[3] + w[4], nil},
		{"bytes change", w[0] + w[1] + strings.Replace(w[2], "=", "A", 1) + w[3] + w[4] + w[5], nil},
	} {
		got, rest, err := Parse([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
		}
		if diff := cmp.Diff(sent, got); diff != "" {
			t.Errorf("%s: records (-want +got):\n%s", c.reason, diff)
		}
		if c.rest != nil {
			if diff := cmp.Diff(c.rest, rest); diff != "" {
				t.Errorf("%s: the kernel's lines (-want +got):\n%s", c.reason, diff)
			}
		}
	}
}

func TestRecords_IncompleteRun(t *testing.T) {
	w := line(t)
	for _, c := range []struct{ reason, text string }{
		{"nothing came", ""},
		{"both copies of a record are gone", w[0] + w[4]},
		{"both copies of a record are spoilt",
			w[0] + w[2][:9] + "oops" + w[2][9:] + w[3][:9] + "oops" + w[3][9:] + w[4]},
		{"the first is gone", w[2] + w[4]},
		{"the guest died", w[0] + w[2]},
		{"the guest died within a record", w[0] + w[2] + w[4][:12]},
	} {
		if _, _, err := Parse([]byte(c.text)); !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: error %v, want ErrIncomplete", c.reason, err)
		}
	}
}

func TestRecords_LongText(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	want := strings.Repeat("aé€😀", 1000)
	for _, r := range []Record{{Kind: Output, Text: want}, {Kind: Done}} {
		if err := w.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	records, _, err := Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, r := range records {
		if len(r.Text) > maxText {
			t.Errorf("a record has %d bytes", len(r.Text))
		}
		got.WriteString(r.Text)
	}
	if got.String() != want {
		t.Error("the text came back changed")
	}
}
