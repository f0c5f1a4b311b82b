package launcher

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
)

// outputDelay is how long the launcher waits for the output of processes that the command left behind.
const outputDelay = time.Second

// mounted runs the command of a client that is no process of this kernel, or of a pid namespace that is not visible
// here. The container has the client's files, at their own paths, and nothing else of it.
func (l Launcher) mounted() error {
	client := &clientStream{messages: json.NewDecoder(os.Stdin), answers: json.NewEncoder(os.Stdout)}
	var first ToLauncher
	if err := client.messages.Decode(&first); err != nil {
		return fmt.Errorf("read the command: %w", err)
	}
	if first.Start == nil || len(first.Start.Command) == 0 {
		return errors.New("read the command: the first message has none")
	}
	cmd, input, done, err := l.startMounted(first.Start, client)
	if err != nil {
		return client.answer(ToClient{Error: err.Error()})
	}
	go client.follow(cmd, input)
	return client.answer(ended(cmd, done))
}

// startMounted starts a launcher that executes the command, and returns the writing end of the
// command's standard input, and the file that is closed when the cgroup of the command is removed.
func (l Launcher) startMounted(s *Start, client *clientStream) (_ *exec.Cmd, input, done *os.File, err error) {
	// Otherwise the launcher that executes the command would say this, of a path that exists where the user is.
	for _, path := range []string{s.Command[0], s.Dir} {
		if _, err := os.Stat(path); err != nil {
			return nil, nil, nil, fmt.Errorf("the engine's machine does not have the files of this one: %w", err)
		}
	}
	if err := mountTree(); err != nil {
		return nil, nil, nil, err
	}
	for _, dir := range s.Own {
		if err := ownDirectory(dir, s.UID, s.GID); err != nil {
			return nil, nil, nil, err
		}
	}
	input, theirs, err := pipeTo()
	if err != nil {
		return nil, nil, nil, err
	}
	defer theirs.Close()
	done, held, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, errors.Join(err, input.Close())
	}
	defer held.Close()

	groups := ids(groupsFor(s))
	args := append(l[:len(l):len(l)], "-uid", strconv.Itoa(s.UID), "-gid", strconv.Itoa(s.GID),
		"-groups", groups.String(), "-dies-with-parent", "-held", "3", "--")
	cmd := exec.Command("/proc/self/exe", append(args, s.Command...)...)
	cmd.ExtraFiles = []*os.File{held}
	cmd.Env = append([]string{}, s.Env...)
	cmd.Dir = s.Dir
	cmd.WaitDelay = outputDelay
	cmd.Stdin, cmd.Stdout = theirs, output{client, 1}
	cmd.Stderr = output{client, 2}
	if s.OneOutput {
		cmd.Stderr = cmd.Stdout // one pipe keeps the order
	}
	unix.Umask(s.Umask)
	if err := startOnOwnThread(cmd, nil); err != nil {
		return nil, nil, nil, errors.Join(err, input.Close(), done.Close())
	}
	return cmd, input, done, nil
}

// pipeTo is os.Pipe with the end that is kept first.
func pipeTo() (ours, theirs *os.File, err error) {
	theirs, ours, err = os.Pipe()
	return ours, theirs, err
}

// treeMount is where the launcher mounts the cgroup v2 hierarchy if its container has none that it may write to.
const treeMount = "/.netzero-cgroup"

// mountTree mounts the cgroup v2 hierarchy, unless it is there. An engine mounts it read-only into a container that is
// not privileged, and not at all on a host where it uses cgroup v1.
func mountTree() error {
	_, err := cgroup.FindTree()
	if !errors.Is(err, cgroup.ErrNoTree) && !errors.Is(err, cgroup.ErrReadOnly) {
		return err
	}
	if err := os.MkdirAll(treeMount, 0o755); err != nil {
		return fmt.Errorf("mount cgroup v2: %w", err)
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("cgroup2", treeMount, "cgroup2", flags, ""); err != nil {
		return fmt.Errorf("mount cgroup v2: %w", err)
	}
	return nil
}

// ownDirectory makes a directory if it does not exist, and gives it to a user, unless it is mounted.
func ownDirectory(dir string, uid, gid int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var root, s unix.Stat_t
	if err := errors.Join(unix.Stat("/", &root), unix.Stat(dir, &s)); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	if s.Dev != root.Dev {
		return nil
	}
	return os.Chown(dir, uid, gid)
}

// groupsFor returns the groups of the command: the client's, and the one that may connect to the engine's socket. The
// client may use the engine, and on another machine the socket has an owner and a group of that machine.
func groupsFor(s *Start) []int {
	groups := slices.Clone(s.Groups)
	var socket unix.Stat_t
	if s.Socket == "" || unix.Stat(s.Socket, &socket) != nil || socket.Mode&0o020 == 0 {
		return groups
	}
	if gid := int(socket.Gid); !slices.Contains(groups, gid) && s.UID != int(socket.Uid) {
		groups = append(groups, gid)
	}
	return groups
}

// clientStream is the connection to the client, on the standard streams of the launcher.
type clientStream struct {
	messages *json.Decoder

	mu      sync.Mutex
	answers *json.Encoder
}

func (c *clientStream) answer(m ToClient) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers.Encode(m)
}

// output is a stream of the command.
type output struct {
	client *clientStream
	file   int
}

func (o output) Write(p []byte) (int, error) {
	if err := o.client.answer(ToClient{File: o.file, Output: p}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// follow passes signals and the standard input to the command, and kills it if the client ends. The client sends a part
// of the input when the command has taken the one before it, so that no signal waits for a command that does not read.
func (c *clientStream) follow(cmd *exec.Cmd, input *os.File) {
	parts := make(chan []byte, 1)
	go c.feed(input, parts)
	defer func() {
		if parts != nil {
			close(parts)
		}
	}()
	for {
		var m ToLauncher
		if err := c.messages.Decode(&m); err != nil {
			_ = cmd.Process.Kill() // the client has ended
			return
		}
		if m.Signal != 0 {
			_ = cmd.Process.Signal(syscall.Signal(m.Signal)) // the command may have ended
		}
		if parts == nil {
			continue
		}
		if len(m.Input) > 0 {
			select {
			case parts <- m.Input:
			default: // the client sends no more than one part that is not taken
			}
		}
		if m.EOF {
			close(parts)
			parts = nil
		}
	}
}

// feed writes parts of the standard input to the command.
func (c *clientStream) feed(input *os.File, parts <-chan []byte) {
	defer input.Close()
	for part := range parts {
		if _, err := input.Write(part); err != nil {
			return // the command reads no more
		}
		if c.answer(ToClient{Taken: true}) != nil {
			return
		}
	}
}
