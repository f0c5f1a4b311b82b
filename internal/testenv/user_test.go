//go:build unix

package testenv

import (
	"os/user"
	"strings"
	"testing"
)

func TestUserIsRemovedAfterTheTest(t *testing.T) {
	RequireRoot(t)
	var name string
	t.Run("of a test", func(t *testing.T) {
		a := User(t, "daemon")
		name = a.Name
		out, err := a.Command(t, []string{"LANG=C"}, "sh", "-c", `id -un; id -Gn; touch "$HOME/file" && echo $LANG`).Output()
		want := name + "\n" + name + " daemon\nC\n"
		if err != nil || string(out) != want {
			t.Errorf("got %q (%v), want %q", out, err, want)
		}
	})
	if _, err := user.Lookup(name); err == nil || !strings.Contains(err.Error(), "unknown user") {
		t.Errorf("lookup of user %q: %v", name, err)
	}
}
