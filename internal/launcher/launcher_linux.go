// Package launcher is the privileged part of `netzero exec`: it runs a command with what recording needs, and as the
// user who called it.
//
// It makes a cgroup that the user may write to, moves into it, keeps the capabilities of [Ambient] and no other, and
// executes the command in its own place, so that signals, standard streams and the exit status need nobody in between.
// A supervisor waits for the command's end and removes the cgroup.
//
// The launcher becomes privileged by file capabilities (the helper that `netzero setup` installs), by sudo, or in a
// privileged container of an engine. This package imports little, because the helper consists of it.
package launcher

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
)

// command is what to run, and for whom.
type command struct {
	path string
	args []string // with the command's name
	env  []string
	dir  string // empty for the current one

	cgroup string // below which the command runs; empty for the current one

	uid, gid int
	groups   []int // nil if they are this process's own

	diesWithParent bool     // the command is killed when the parent of this process ends
	held           *os.File // is closed when the cgroup is removed; nil for none
}

// Launcher is the launcher: the first arguments with which this program is one.
type Launcher []string

// Main runs the launcher with its command line, after its first arguments, and returns an exit status. It does not
// return if it executes the command.
//
//	[flags] -- command [argument ...]
//
// Without a flag that names another process, the command gets this process's environment, directory and user.
func (l Launcher) Main(args []string) int {
	err := l.run(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(os.Stderr, "netzero: %v\n", err)
	return 1
}

func (l Launcher) run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case superviseCommand:
			return l.supervise(args[1:])
		case joinCommand, MountedCommand:
			if os.Geteuid() != 0 { // they use paths and processes that the client names, with the helper's capabilities
				return fmt.Errorf("%s: only root in a container runs the command of a client", args[0])
			}
			if args[0] == joinCommand {
				return l.join(args[1:])
			}
			return l.mounted()
		case CheckCommand:
			return check()
		}
	}
	var o options
	flags := flag.NewFlagSet("netzero launch", flag.ContinueOnError)
	flags.BoolVar(&o.diesWithParent, "dies-with-parent", false, "kill the command when the parent of the launcher ends")
	flags.IntVar(&o.held, "held", 0, "an open file that is closed when the cgroup is removed")
	flags.IntVar(&o.caller, "caller", 0, "run the command as this process would; for root only")
	flags.IntVar(&o.uid, "uid", -1, "the user id, if the caller's process has another one; for root only")
	flags.IntVar(&o.gid, "gid", -1, "the group id, if the caller's process has another one; for root only")
	flags.Var(&o.groups, "groups", "the supplementary groups, if the caller's process has others; for root only")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("launch: no command")
	}
	c, err := o.command(flags.Args())
	if err != nil {
		return fmt.Errorf("launch %s: %w", flags.Arg(0), err)
	}
	return fmt.Errorf("launch %s: %w", c.path, l.exec(c))
}

// options are the flags of [Main].
type options struct {
	diesWithParent bool
	held           int // a file; 0 for none
	caller         int // a process; 0 for this one
	uid, gid       int // -1 for the caller's
	groups         ids
}

// command completes the options with what the caller's process has.
func (o options) command(args []string) (*command, error) {
	isRoot := os.Geteuid() == 0
	if !isRoot && (o.caller != 0 || o.uid >= 0 || o.gid >= 0 || o.groups != nil) {
		return nil, errors.New("only root may run a command as another process or user")
	}
	c := &command{path: args[0], args: args, diesWithParent: o.diesWithParent}
	var err error
	if c.env, err = environment(o.caller); err != nil {
		return nil, err
	}
	c.uid, c.gid = os.Getuid(), os.Getgid()
	if o.held != 0 {
		unix.CloseOnExec(o.held)
		c.held = os.NewFile(uintptr(o.held), "held")
	}
	if o.caller != 0 {
		if err := c.become(o.caller); err != nil {
			return nil, err
		}
	}
	if o.uid >= 0 {
		c.uid = o.uid
	}
	if o.gid >= 0 {
		c.gid = o.gid
	}
	if o.groups != nil {
		c.groups = o.groups
	}
	return c, nil
}

// exec executes the command in place of this process. It returns only if it fails.
func (l Launcher) exec(c *command) error {
	runtime.LockOSThread() // capabilities belong to a thread, and the command gets those of the calling one
	tree, err := cgroup.FindTree()
	if err != nil {
		return err
	}
	if c.cgroup != "" {
		if err := tree.Enter(c.cgroup); err != nil {
			return err
		}
	}
	delegated, err := cgroup.Delegate(tree, c.uid, c.gid)
	if err != nil {
		return err
	}
	if err := l.startSupervisor(delegated, c.held); err != nil {
		return errors.Join(err, delegated.Remove())
	}
	// From here on the supervisor removes the cgroup, whatever happens.
	if err := delegated.Enter(); err != nil {
		return err
	}
	if err := raiseMemlock(); err != nil {
		return err
	}
	if err := c.drop(); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	if c.dir != "" {
		if err := os.Chdir(c.dir); err != nil {
			return err
		}
	}
	if c.diesWithParent {
		if err := DieWithParent(); err != nil {
			return err
		}
	}
	if err := unix.Exec(c.path, c.args, c.env); err != nil {
		return &os.PathError{Op: "exec", Path: c.path, Err: err}
	}
	return nil
}

// CheckCommand is the first argument of a launcher that only checks whether it has what it needs.
const CheckCommand = "check"

// check looks for the capabilities, and makes and removes a cgroup.
func check() error {
	held, err := permitted()
	if err != nil {
		return err
	}
	missing := missing(held)
	if len(missing) > 0 {
		return fmt.Errorf("the launcher lacks %s", strings.Join(missing, ", "))
	}
	tree, err := cgroup.FindTree()
	if err != nil {
		return err
	}
	delegated, err := cgroup.Delegate(tree, os.Getuid(), os.Getgid())
	if errors.Is(err, cgroup.ErrNotPermitted) && held&(1<<unix.CAP_DAC_OVERRIDE) == 0 {
		return fmt.Errorf("%w: the launcher lacks CAP_DAC_OVERRIDE", err)
	}
	if err != nil {
		return err
	}
	return delegated.Remove()
}

// DieWithParent makes the kernel kill this process when its parent ends.
func DieWithParent() error {
	parent := os.Getppid()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("set the signal of the parent's death: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("the parent has ended")
	}
	return nil
}

// ids are the values of a flag: numbers, separated by commas.
type ids []int

func (s *ids) String() string {
	if s == nil {
		return ""
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*s)), " ", ","), "[]")
}

func (s *ids) Set(text string) error {
	*s = ids{}
	if text == "" {
		return nil // no groups
	}
	for field := range strings.SplitSeq(text, ",") {
		var id int
		if _, err := fmt.Sscan(field, &id); err != nil || id < 0 {
			return fmt.Errorf("%q is not an id", field)
		}
		*s = append(*s, id)
	}
	slices.Sort(*s)
	return nil
}
