package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testnet/netlab"
)

// programs are script commands that run as separate processes, so go test -exec can start them too.
var programs = map[string]func(){
	"lab": func() {
		check(enter())
		work := os.Getenv("WORK")
		os.Args = append([]string{"netlab", "-f", work + "/lab.conf", "-ca", work + "/ca.pem", "--"}, os.Args[1:]...)
		os.Exit(netlab.Main())
	},
	"box": func() {
		check(enter())
		check(become(os.Args[1:]))
	},
	"built": func() {
		args := []string{"./shop.test", "-test.paniconexit0"}
		for _, arg := range os.Args[1:] {
			args = append(args, testFlags.ReplaceAllString(arg, "-test.$1"))
		}
		check(unix.Dup3(1, 2, 0)) // one stream, as from go test
		check(become(args))
	},
	"unprivileged": func() {
		// Open it before rights are dropped: go test builds in a directory that other users cannot enter.
		program, err := open(os.Args[1:])
		check(err)
		check(dropRights())
		check(become(append([]string{program}, os.Args[2:]...)))
	},
}

// testFlags are the flags that go test passes on under another name.
var testFlags = regexp.MustCompile("^-(bench|benchtime|count|run|timeout|v)$")

func check(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(125)
	}
}

// nobody is a user without rights and without files.
const nobody = 65534

func dropRights() error {
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
}

// open returns a path by which a program can be run without access to its directory.
func open(argv []string) (string, error) {
	if len(argv) == 0 {
		return "", errors.New("no program given")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return "", err
	}
	fd, err := unix.Open(path, unix.O_PATH, 0)
	return fmt.Sprintf("/proc/self/fd/%d", fd), err
}

// become replaces this program with another one.
func become(argv []string) error {
	if len(argv) == 0 {
		return errors.New("no program given")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", path, unix.Exec(path, argv, os.Environ()))
}
