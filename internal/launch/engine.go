package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/netzero-dev/netzero/internal/docker"
)

// answerTime is how long an engine may take for one answer until it counts as unusable: long under load, short for a
// person.
const answerTime = 10 * time.Second

// openEngine returns a client of the engine that testcontainers finds, and the engine's architecture as Go names it.
func openEngine(ctx context.Context) (*client.Client, string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	log.SetDefault(silent{}) // it prints what it finds
	found, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("no container engine answers: %w", err)
	}
	version, err := found.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("the container engine does not answer: %w", err), found.Close())
	}
	if version.Os != "linux" {
		return nil, "", errors.Join(fmt.Errorf("the container engine runs %s containers", version.Os), found.Close())
	}
	return found.Client, goarch(version.Arch), nil
}

type silent struct{}

func (silent) Printf(string, ...any) {}

func checkEngine(ctx context.Context) error {
	if runtime.GOOS == "windows" {
		return errWindows
	}
	engine, _, err := openEngine(ctx)
	if err != nil {
		return err
	}
	return engine.Close()
}

// privileges are ways to give a container what the launcher needs, in the order in which they are tried: the
// capabilities; all of them, for an engine that does not know CAP_BPF; and CAP_SYS_ADMIN, which includes CAP_BPF, where
// the engine itself lacks a capability.
var privileges = []container.HostConfig{
	{CapDrop: []string{"ALL"}, CapAdd: append([]string{"BPF", "PERFMON"}, launcherCapabilities...)},
	{Privileged: true},
	{CapDrop: []string{"ALL"}, CapAdd: launcherCapabilities},
}

// launcherCapabilities are what the launcher needs beside those that the command keeps: to enter the namespaces of the
// client and to read its environment, to make the cgroup, and to become the client's user.
var launcherCapabilities = []string{
	"NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "SYS_CHROOT", "DAC_OVERRIDE", "CHOWN", "SETUID", "SETGID", "SETPCAP", "KILL",
}

// launcherContainer is a running container of the launcher.
type launcherContainer struct {
	attached client.HijackedResponse
	stdout   *io.PipeReader // ends when the container ends
	stderr   bytes.Buffer   // complete when stdout has ended
}

// startContainer starts a container of the launcher in the namespaces of the engine's host, with its standard streams
// attached. The engine removes the container when it ends.
func startContainer(
	ctx context.Context, engine *client.Client, image string, args []string, mounts []bind,
) (*launcherContainer, error) {
	var errs []error
	for _, host := range privileges {
		host.AutoRemove = true
		host.PidMode, host.NetworkMode, host.CgroupnsMode, host.UsernsMode = "host", "host", "host", "host"
		host.SecurityOpt = []string{"seccomp=unconfined", "apparmor=unconfined", "label=disable"}
		host.LogConfig.Type = "none"
		for {
			running, err := startWith(ctx, engine, image, args, host, mounts)
			if err == nil {
				return running, nil
			}
			if culprit, ok := refused(err, mounts); ok {
				if !culprit.optional {
					return nil, fmt.Errorf("the engine's machine does not have %s: share it with the engine, or use a "+
						"directory that is shared: %w", culprit.source, err)
				}
				mounts = slices.DeleteFunc(slices.Clone(mounts), func(b bind) bool { return b == culprit })
				continue
			}
			errs = append(errs, err)
			break
		}
	}
	return nil, fmt.Errorf("start a privileged container: %w", errors.Join(errs...))
}

// startWith starts a container with these privileges and mounts. If that fails, no container is left.
func startWith(
	ctx context.Context, engine *client.Client, image string, args []string, host container.HostConfig, mounts []bind,
) (*launcherContainer, error) {
	for _, b := range mounts {
		host.Mounts = append(host.Mounts, mount.Mount{
			Type: mount.TypeBind, Source: b.source, Target: b.target, ReadOnly: b.readOnly,
		})
	}
	created, err := engine.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image: image, Cmd: args, Labels: map[string]string{docker.LabelHelper: "true"},
			AttachStdin: true, AttachStdout: true, AttachStderr: true,
			OpenStdin: true, StdinOnce: true, // its end is that of the client
		},
		HostConfig: &host,
	})
	if err != nil {
		return nil, err
	}
	attached, err := engine.ContainerAttach(ctx, created.ID, client.ContainerAttachOptions{
		Stream: true, Stdin: true, Stdout: true, Stderr: true,
	})
	if err == nil {
		if _, err = engine.ContainerStart(ctx, created.ID, client.ContainerStartOptions{}); err == nil {
			return follow(attached.HijackedResponse), nil
		}
		attached.Close()
	}
	_, removeErr := engine.ContainerRemove(ctx, created.ID, client.ContainerRemoveOptions{Force: true})
	return nil, errors.Join(err, removeErr)
}

// follow reads what a container writes.
func follow(attached client.HijackedResponse) *launcherContainer {
	stdout, w := io.Pipe()
	running := &launcherContainer{attached: attached, stdout: stdout}
	go func() {
		_, err := stdcopy.StdCopy(w, &running.stderr, attached.Reader)
		w.CloseWithError(err) // nil is io.EOF
	}()
	return running
}

// failure is why a container ended too early, after its standard output has ended.
func (c *launcherContainer) failure() error {
	if text := strings.TrimSpace(c.stderr.String()); text != "" {
		return errors.New(strings.TrimPrefix(text, "netzero: "))
	}
	return errors.New("the container of the test ended before it: something killed it")
}

// runEngine has a container of the engine run the command.
func runEngine(ctx context.Context, command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("run the test binary: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	command = append([]string{path}, command[1:]...)
	if err := dieWithGoTool(); err != nil {
		return err
	}
	// From now on no signal is lost: it is for the command.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)

	engine, arch, err := openEngine(ctx)
	if err != nil {
		return err
	}
	defer engine.Close()
	name, err := image(ctx, engine, arch)
	if err != nil {
		return err
	}
	if err := runJoined(ctx, engine, name, command, signals); !errors.Is(err, errOtherKernel) {
		return err
	}
	return runMounted(ctx, engine, name, command, signals)
}

// errOtherKernel is returned if no container of the engine can join this process: the engine is in a virtual machine or
// on another host, or this process is in a pid namespace of its own.
var errOtherKernel = errors.New("this process is not visible to the engine's containers")
