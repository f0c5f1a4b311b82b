package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/moby/moby/client"

	"github.com/netzero-dev/netzero/internal/launcher"
)

// errWindows is why the engine's way does not work on Windows: a Linux program cannot have paths like C:\module, and
// tests get such paths in arguments, in the environment and from the Go tool.
var errWindows = errors.New("on Windows, tests are recorded in WSL 2: run go test there, as on Linux")

// runMounted has a container run the command with this process's files, which are mounted at their own paths. Its
// standard streams and its signals pass through this process, and the command dies with it.
//
// The tests use an engine on the same machine as a stand-in, with a client in a pid namespace of its own. They do not
// cover what Docker Desktop, Colima and OrbStack do differently: how they share directories, and how a published port
// is reached in their virtual machine.
//
// The container has the network and the processes of the engine's machine. It has no programs: a test that starts some,
// such as git, works only where the engine's machine has those of this one.
func runMounted(
	ctx context.Context, engine *client.Client, image string, command []string, signals <-chan os.Signal,
) error {
	start, mounts, err := mountedCommand(ctx, command)
	if err != nil {
		return err
	}
	running, err := startContainer(ctx, engine, image, []string{launcher.MountedCommand}, mounts)
	if err != nil {
		return err
	}
	defer running.attached.Close() // the launcher kills the command then
	out := &sender{encoder: json.NewEncoder(running.attached.Conn)}
	if err := out.send(launcher.ToLauncher{Start: start}); err != nil {
		return fmt.Errorf("write to the launcher: %w", err)
	}
	answers := json.NewDecoder(running.stdout)
	go out.forward(signals)
	ignoreBackground()
	taken := make(chan struct{}, 1)
	go out.sendInput(taken)
	var answer launcher.ToClient
	for !answer.Ended && answer.Error == "" {
		answer = launcher.ToClient{}
		if err := answers.Decode(&answer); err != nil {
			return running.failure()
		}
		switch {
		case answer.Taken:
			taken <- struct{}{}
		case answer.File == 1:
			err = write(os.Stdout, answer.Output)
		case answer.File == 2:
			err = write(os.Stderr, answer.Output)
		}
		if err != nil {
			return err
		}
	}
	return endAs(answer)
}

// write writes output of the command. If nobody reads it, this process ends as the command would have.
func write(f *os.File, output []byte) error {
	_, err := f.Write(output)
	if errors.Is(err, syscall.EPIPE) {
		endBySignal(syscall.SIGPIPE)
	}
	return err
}

// endAs ends this process as the command ended, or returns why there was no command.
func endAs(answer launcher.ToClient) error {
	switch {
	case answer.Error != "":
		return errors.New(answer.Error)
	case answer.Signal != 0:
		endBySignal(ownSignal(answer.Signal))
	}
	os.Exit(answer.Status)
	return nil
}

// sender sends messages to the launcher.
type sender struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func (s *sender) send(m launcher.ToLauncher) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.encoder.Encode(m)
}

// forward passes signals on.
func (s *sender) forward(signals <-chan os.Signal) {
	for sig := range signals {
		if n, ok := linuxSignal(sig); ok && sig != syscall.SIGPIPE { // of this process's output
			_ = s.send(launcher.ToLauncher{Signal: n})
		}
	}
}

// sendInput passes the standard input on, a part at a time: when the command has taken the one before it.
func (s *sender) sendInput(taken <-chan struct{}) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := os.Stdin.Read(buffer)
		if n > 0 {
			if s.send(launcher.ToLauncher{Input: buffer[:n]}) != nil {
				return
			}
			<-taken
		}
		if err != nil {
			_ = s.send(launcher.ToLauncher{EOF: true})
			return
		}
	}
}

// isOneOutput reports whether the standard output and the standard error are the same file.
func isOneOutput() bool {
	stdout, err := os.Stdout.Stat()
	if err != nil {
		return false
	}
	stderr, err := os.Stderr.Stat()
	return err == nil && os.SameFile(stdout, stderr)
}
