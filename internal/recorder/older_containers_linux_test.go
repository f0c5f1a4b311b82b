package recorder

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A process that never had a child and is not a client of an engine cannot have started a container. So it does not report
// containers of other packages.
func TestOlderContainers_MayStartContainers(t *testing.T) {
	const variable = "NETZERO_TEST_CHILDREN"
	if children := os.Getenv(variable); children != "" {
		if children == "one" {
			if err := exec.Command("true").Run(); err != nil {
				t.Fatal(err)
			}
		}
		if children == "running" {
			sleeper := exec.Command("sleep", "60")
			if err := sleeper.Start(); err != nil {
				t.Fatal(err)
			}
			defer sleeper.Wait()
			defer sleeper.Process.Kill()
		}
		t.Logf("may: %t", mayStartContainers())
		return
	}
	for children, want := range map[string]string{"none": "may: false", "one": "may: true", "running": "may: true"} {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), variable+"="+children)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: want %q: %v\n%s", children, want, err, out)
		}
	}
}
