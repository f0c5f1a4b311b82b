package cost

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// An observer is what sees the work.
type observer struct {
	name    string
	netzero string   // the value of NETZERO
	prefix  []string // of the command
	start   func(t *testing.T) (stop func())
}

// observers returns all of them; the first one is nothing.
func observers(t *testing.T) []observer {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "strace", "strace")
	testenv.RequireCommand(t, "tcpdump", "tcpdump")
	testenv.RequireCommand(t, "bpftrace", "bpftrace")
	return []observer{
		{name: "nothing", netzero: "off"},
		{name: "empty programs", netzero: "off", start: attachEmpty},
		{name: "NetZero", netzero: "require"},
		{name: "tcpdump", netzero: "off", start: func(t *testing.T) func() {
			return startTool(t, exec.CommandContext, []string{"tcpdump", "-i", "any", "-n", "-w", "/dev/null"},
				"listening on", io.Discard)
		}},
		{name: "bpftrace", netzero: "off", start: func(t *testing.T) func() {
			return startTool(t, exec.CommandContext, bpftrace, "ready", io.Discard)
		}},
		{
			name: "strace -f", netzero: "off",
			prefix: []string{"strace", "-f", "-qq", "-e", "trace=%network", "-o", "/dev/null"},
		},
	}
}

// bpftraceProgram prints the process, its name, and the address that a system call names.
const bpftraceProgram = `
struct four { uint16_t family; uint16_t port; uint8_t addr[4]; }
BEGIN { printf("ready\n"); }
tracepoint:syscalls:sys_enter_connect {
	$four = (struct four *)args->uservaddr;
	if ($four->family == 2) { printf("%d %s connect %s\n", pid, comm, ntop(2, $four->addr)); }
}
tracepoint:syscalls:sys_enter_sendto /args->addr != 0/ {
	$four = (struct four *)args->addr;
	if ($four->family == 2) { printf("%d %s sendto %s\n", pid, comm, ntop(2, $four->addr)); }
}`

var bpftrace = []string{"bpftrace", "-B", "line", "-e", bpftraceProgram}

// during calls do while the observer runs.
func (o observer) during(t *testing.T, do func()) {
	t.Helper()
	if o.start != nil {
		defer o.start(t)()
	}
	do()
}

// A commander returns a command, as exec.CommandContext does.
type commander func(ctx context.Context, name string, args ...string) *exec.Cmd

// startTool starts a tool, and returns when it has written a text. What it writes goes to out, until stop is called.
func startTool(t *testing.T, command commander, args []string, ready string, out io.Writer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := command(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second // bpftrace does not always end by the signal
	if filepath.Base(cmd.Args[0]) == "bpftrace" {
		testenv.MountTracing(t)
	}
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		_ = cmd.Wait() // it ends by a signal
		writer.Close()
	})
	begun := make(chan bool, 1)
	done.Go(func() {
		defer close(begun)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			if strings.Contains(lines.Text(), ready) {
				select {
				case begun <- true:
				default:
				}
			}
			fmt.Fprintln(out, lines.Text())
		}
	})
	if !<-begun {
		cancel()
		t.Fatalf("%v ended at once", cmd.Args)
	}
	return func() {
		cancel()
		done.Wait()
	}
}

// attachEmpty attaches programs that do nothing to the hooks of a recording.
func attachEmpty(t *testing.T) (stop func()) {
	t.Helper()
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	var links []link.Link
	add := func(l link.Link, err error) {
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, l)
	}
	for attach, kind := range map[ebpf.AttachType]ebpf.ProgramType{
		ebpf.AttachCGroupInet4Connect: ebpf.CGroupSockAddr, ebpf.AttachCGroupInet6Connect: ebpf.CGroupSockAddr,
		ebpf.AttachCGroupUDP4Sendmsg: ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP6Sendmsg: ebpf.CGroupSockAddr,
		ebpf.AttachCGroupInet4PostBind: ebpf.CGroupSock, ebpf.AttachCGroupInet6PostBind: ebpf.CGroupSock,
		ebpf.AttachCGroupInetSockCreate: ebpf.CGroupSock,
		ebpf.AttachCGroupInetEgress:     ebpf.CGroupSKB, ebpf.AttachCGroupInetIngress: ebpf.CGroupSKB,
	} {
		program := emptyProgram(t, kind, attach)
		add(link.AttachCgroup(link.CgroupOptions{Path: tree.Root, Attach: attach, Program: program}))
	}
	for _, name := range []string{
		"sched_wakeup_new", "sched_process_exit", "sched_process_exec", "cgroup_mkdir", "cgroup_attach_task",
	} {
		add(link.AttachRawTracepoint(link.RawTracepointOptions{
			Name: name, Program: emptyProgram(t, ebpf.RawTracepoint, ebpf.AttachNone),
		}))
	}
	return func() {
		for _, l := range links {
			l.Close()
		}
	}
}

// emptyProgram loads a program that lets everything pass, until the test ends.
func emptyProgram(t *testing.T, kind ebpf.ProgramType, attach ebpf.AttachType) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: kind, AttachType: attach, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}
