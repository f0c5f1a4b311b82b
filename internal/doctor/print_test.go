package doctor

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var diagnosis = Diagnosis{System: "plan9/x", Checks: []Check{
	{Name: "kernel", Status: OK, Detail: "6.1.0"},
	{Name: "cgroup v2", Status: Failed, Detail: "none", Advice: "a && b"},
	{Name: "hooks", Status: Skipped},
}}

func TestDiagnosis_Text(t *testing.T) {
	var b bytes.Buffer
	if err := diagnosis.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := "netzerotest on plan9/x\n" +
		"  ok       kernel         6.1.0\n" +
		"  failed   cgroup v2      none\n" +
		"                          -> a && b\n" +
		"  skipped  hooks\n" +
		"Tests are NOT recorded here.\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestDiagnosis_JSON(t *testing.T) {
	var b bytes.Buffer
	if err := diagnosis.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	want := `{
  "records": false,
  "system": "plan9/x",
  "checks": [
    {
      "name": "kernel",
      "status": "ok",
      "detail": "6.1.0"
    },
    {
      "name": "cgroup v2",
      "status": "failed",
      "detail": "none",
      "advice": "a && b"
    },
    {
      "name": "hooks",
      "status": "skipped"
    }
  ]
}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}
