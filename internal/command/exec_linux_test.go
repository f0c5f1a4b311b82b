package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// shell makes a shell that netzero exec takes for a test binary that records, and defines what the scripts have in
// common. as_user runs a command line on a terminal with a line of input.
const shell = `
SH=$USER_HOME/shell
cp /bin/sh $SH
printf github.com/netzero-dev/netzero/internal/recorder.Join >>$SH
cat >$USER_HOME/show <<'END'
echo user $(id -un) root $(find $HOME/made -user root 2>/dev/null)
echo "word <$WORDS> cgroup $(grep -c '0::/.*netzero-exec-' /proc/self/cgroup) umask $(umask) in $(basename $PWD)"
echo privileged $(grep -c 'CapEff:.*[1-9a-f]' /proc/self/status)
touch $HOME/made
exit 7
END
unset SUDO_USER SUDO_UID SUDO_GID SUDO_COMMAND
as_user() {
	# script ends with its input, so that stays open for the time of the command.
	login="umask 027; cd $USER_HOME; export HOME=$USER_HOME WORDS='two words' DOCKER_HOST=unix:///no/engine"
	{ sleep 2; echo "$1"; sleep 4; } | script --quiet --return --command \
		"$login; runuser -u $USER_NAME -- $2" /dev/null | tr -d '\r\b' | sed 's/\^@//g'
}
`

// The test binary runs as the user, with the user's environment, whichever way sudo is allowed.
func TestExec_BySudo(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "sudo", "sudo")
	testenv.RequireCommand(t, "script", "bsdutils")
	const want = `user USER root
word <two words> cgroup 1 umask 0027 in HOME
privileged 1
status 7
left 0
`
	for _, row := range []struct{ name, allow, typed, asked string }{
		{"without a password", `echo "$USER_NAME ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/nz-test`, "", ""},
		{"with a password",
			`echo "$USER_NAME ALL=(ALL) ALL" >/etc/sudoers.d/nz-test; echo "$USER_NAME:secret" | chpasswd`, "secret",
			"netzero: password of USER, to record this test:\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := newMachine(t)
			got, err := m.run(t, row.allow+"\n"+shell+`
as_user '`+row.typed+`' "$NETZERO exec -v $SH $USER_HOME/show; echo status \$?" |
	sed "s/in $(basename $USER_HOME)/in HOME/"
sleep 1
echo left $(find /sys/fs/cgroup -name 'netzero-exec-*' -user $USER_NAME | wc -l)
`)
			if err != nil {
				t.Error(err)
			}
			var lines []string
			for line := range strings.Lines(got) {
				if text := strings.TrimSpace(line); text != "" && text != row.typed { // the terminal may echo it
					lines = append(lines, text)
				}
			}
			if diff := cmp.Diff("netzero exec: sudo\n"+row.asked+want, strings.Join(lines, "\n")+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// If no way works, netzero exec says why, and the test runs unrecorded.
func TestExec_NoWay(t *testing.T) {
	m := newMachine(t)
	testenv.RequireCommand(t, "sudo", "sudo")
	testenv.RequireCommand(t, "setsid", "util-linux")
	got, err := m.run(t, shell+`
export HOME=$USER_HOME DOCKER_HOST=unix:///no/engine
runuser -u $USER_NAME -- setsid --wait $NETZERO exec $SH -c 'echo runs; exit 3' </dev/null && exit 1
echo status $?
runuser -u $USER_NAME -- setsid --wait $NETZERO exec env A=wrapped $SH -c 'echo $A' </dev/null
`)
	if err != nil {
		t.Error(err)
	}
	if n := strings.Count(got, "helper is not installed"); n != 2 {
		t.Errorf("%d of 2 commands say what is missing:\n%s", n, got)
	}
	for _, want := range []string{
		"netzero exec: direct: this process lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON\n",
		"netzero exec: helper: the helper is not installed\n",
		"netzero exec: sudo: sudo: a password is required\n",
		"netzero exec: engine: no container engine answers: ",
		"\nruns\nstatus 3\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
