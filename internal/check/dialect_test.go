package check

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/placement"

	"github.com/netzero-dev/netzero/golden"
)

func TestDialect_OtherKindOfFile(t *testing.T) {
	kubernetes := &golden.File{Path: "a.yaml", Dialect: golden.Kubernetes}
	cilium := &golden.File{Path: "a.yaml", Dialect: golden.Cilium}
	for _, c := range []struct {
		reason string
		cilium bool
		file   *golden.File
		want   string // "" for no error
	}{
		{"the default", false, kubernetes, ""},
		{"the option", true, cilium, ""},
		{"an empty file is of both", true, &golden.File{}, ""},
		{"an empty file is of both", false, &golden.File{}, ""},
		{"the option came later", true, kubernetes, "leave the option out, or delete the file"},
		{"the option has gone", false, cilium, "add the option, or delete the file"},
	} {
		err := Options{Placement: placement.Options{Cilium: c.cilium}}.otherDialect(c.file)
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.reason, err, c.want)
		}
	}
}
