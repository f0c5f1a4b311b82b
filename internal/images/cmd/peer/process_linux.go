package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// self returns a command that runs this program with other arguments.
func self(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	return cmd
}

func (p *peer) child(ctx context.Context, args []string) {
	p.say("child", "done", self(ctx, args).Run())
}

func (p *peer) start(_ context.Context, args []string) {
	cmd := self(context.Background(), args)
	err := cmd.Start()
	if err == nil {
		p.began = append(p.began, cmd)
	}
	p.say("start", "started", err)
}

// killStarted ends the processes of start: outside of a container they would stay.
func (p *peer) killStarted() {
	for _, cmd := range p.began {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// nested runs a child in a new cgroup below this process's own.
func (p *peer) nested(ctx context.Context, args []string) {
	p.say("nested", "done", runNested(ctx, args))
}

func runNested(ctx context.Context, args []string) error {
	tree, err := os.MkdirTemp("", "cgroup-")
	if err != nil {
		return err
	}
	defer os.Remove(tree)
	if err := syscall.Mount("none", tree, "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mount cgroup v2 tree: %w", err)
	}
	defer syscall.Unmount(tree, syscall.MNT_DETACH)
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	_, own, found := strings.Cut("\n"+string(text), "\n0::")
	if !found {
		return fmt.Errorf("find own cgroup: /proc/self/cgroup has none of version 2")
	}
	own, _, _ = strings.Cut(own, "\n")
	dir := filepath.Join(tree, own, fmt.Sprintf("nested-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer os.Remove(dir)
	fd, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer fd.Close()
	cmd := self(ctx, args)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(fd.Fd())}
	return cmd.Run()
}
