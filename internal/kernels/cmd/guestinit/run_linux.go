package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// runner is the argument with which process 1 starts itself again.
const runner = "runner"

// run consists of two processes: process 1 reaps orphans of the tests, the other one runs the tests.
func run() {
	if os.Getpid() == 1 {
		debugPort := allowDebugPort()
		end(reap(), debugPort)
	}
	failed := false
	w := guest.NewWriter(os.Stdout)
	send := func(r guest.Record) {
		failed = failed || r.Kind == guest.Fault || r.Kind == guest.End && r.Text != ""
		if err := w.Send(r); err != nil {
			fmt.Println(err) // the missing record shows the failure
		}
	}
	fault := func(err error) {
		if err != nil {
			send(guest.Record{Kind: guest.Fault, Text: err.Error()})
		}
	}
	fault(mountAll())
	fault(raiseLoopback())
	var name unix.Utsname
	fault(unix.Uname(&name))
	send(guest.Record{Kind: guest.Hello, Text: unix.ByteSliceToString(name.Release[:])})
	plan, err := readPlan()
	fault(err)
	taints, err := readTaints()
	fault(err)
	for _, t := range plan.Tests {
		runTest(t, plan.Env, send)
	}
	fault(newTaints(taints))
	if failed {
		send(guest.Record{Kind: guest.Kernel, Text: kernelLog()})
	}
	send(guest.Record{Kind: guest.Done})
	if failed {
		os.Exit(1)
	}
}

// reap waits for every child until the runner has ended, and reports whether the runner succeeded.
func reap() (passed bool) {
	cmd := exec.Command("/init", runner)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Start(); err != nil {
		fmt.Println("start runner:", err)
		return false
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			fmt.Println("wait for runner:", err)
			return false
		}
		if pid == cmd.Process.Pid {
			return status.Exited() && status.ExitStatus() == 0
		}
	}
}

func readPlan() (guest.Plan, error) {
	var p guest.Plan
	text, err := os.ReadFile(guest.PlanPath)
	if err != nil {
		return p, fmt.Errorf("read plan: %w", err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("read plan: %w", err)
	}
	return p, nil
}

// runTest runs one test binary and sends its output.
func runTest(t guest.Test, env []string, send func(guest.Record)) {
	send(guest.Record{Kind: guest.Start, Package: t.Package})
	ctx, cancel := context.WithTimeout(context.Background(), t.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.Binary, t.Args...)
	cmd.Dir, cmd.Env = t.Dir, env
	out := output(func(text []byte) { send(guest.Record{Kind: guest.Output, Package: t.Package, Text: string(text)}) })
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a test must not signal process 1
	cmd.WaitDelay = 5 * time.Second                      // for children that keep the output open
	var how string
	if err := cmd.Run(); err != nil {
		how = err.Error()
		if ctx.Err() != nil {
			how = fmt.Sprintf("killed after %v: %v", t.Timeout, err)
		}
	}
	send(guest.Record{Kind: guest.End, Package: t.Package, Text: how})
}

type output func([]byte)

func (o output) Write(b []byte) (int, error) {
	o(b)
	return len(b), nil
}

// end ends the machine: through the debug port, which gives the host the exit status, otherwise by power-off. noPort is
// the reason why there is no debug port.
func end(passed bool, noPort error) {
	unix.Sync()
	value := byte(guest.Failed)
	if passed {
		value = guest.Passed
	}
	if noPort == nil {
		writeDebugPort(value)
	} else {
		fmt.Println("write debug port:", noPort)
	}
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("power off:", err)
	}
	select {} // process 1 must not end: the kernel would panic
}
