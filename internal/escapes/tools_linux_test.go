package escapes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
)

var withTools = flag.Bool("tools", false, "run each way for strace, tcpdump and bpftrace, too, and write "+toolsFile)

// bpftraceProgram prints the time of each system call and its address argument.
const bpftraceProgram = `
struct four { uint16_t family; uint16_t port; uint8_t addr[4]; }
struct six { uint16_t family; uint16_t port; uint32_t flow; uint8_t addr[16]; }
struct message { void *name; int length; }
BEGIN { printf("ready\n"); }
tracepoint:syscalls:sys_enter_connect {
	$four = (struct four *)args->uservaddr; $six = (struct six *)args->uservaddr;
	if ($four->family == 2) { printf("%llu %s\n", nsecs, ntop(2, $four->addr)); }
	if ($six->family == 10) { printf("%llu %s\n", nsecs, ntop(10, $six->addr)); }
}
tracepoint:syscalls:sys_enter_sendto /args->addr != 0/ {
	$four = (struct four *)args->addr; $six = (struct six *)args->addr;
	if ($four->family == 2) { printf("%llu %s\n", nsecs, ntop(2, $four->addr)); }
	if ($six->family == 10) { printf("%llu %s\n", nsecs, ntop(10, $six->addr)); }
}
tracepoint:syscalls:sys_enter_sendmsg {
	$message = (struct message *)args->msg;
	$four = (struct four *)$message->name; $six = (struct six *)$message->name;
	if ($message->name != 0 && $four->family == 2) { printf("%llu %s\n", nsecs, ntop(2, $four->addr)); }
	if ($message->name != 0 && $six->family == 10) { printf("%llu %s\n", nsecs, ntop(10, $six->addr)); }
}
tracepoint:syscalls:sys_enter_sendmmsg {
	$message = (struct message *)args->mmsg;
	$four = (struct four *)$message->name; $six = (struct six *)$message->name;
	if ($message->name != 0 && $four->family == 2) { printf("%llu %s\n", nsecs, ntop(2, $four->addr)); }
	if ($message->name != 0 && $six->family == 10) { printf("%llu %s\n", nsecs, ntop(10, $six->addr)); }
}
`

// watcher is a tool that runs during all rows.
type watcher struct {
	name string
	cmd  *exec.Cmd

	mu    sync.Mutex
	lines []string
}

// watch starts a tool, and returns after the tool has written a text.
func watch(t *testing.T, cmd *exec.Cmd, ready string) *watcher {
	t.Helper()
	w := &watcher{name: filepath.Base(cmd.Args[0]), cmd: cmd}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			w.mu.Lock()
			w.lines = append(w.lines, lines.Text())
			w.mu.Unlock()
		}
		out.Close()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait()
	})
	w.await(t, regexp.MustCompile(regexp.QuoteMeta(ready)), nil)
	return w
}

// text returns the output of the tool.
func (w *watcher) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

// await waits for a line, and repeats an action meanwhile.
func (w *watcher) await(t *testing.T, line *regexp.Regexp, again func()) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !line.MatchString(w.text()); time.Sleep(10 * time.Millisecond) {
		if again != nil {
			again()
		}
		if time.Now().After(end) {
			t.Fatalf("%v does not write %q:\n%s", w.cmd.Args, line, w.text())
		}
	}
}

// sawSince reports whether a line matches that starts with a time of at least since.
func (w *watcher) sawSince(since float64, line *regexp.Regexp) bool {
	for text := range strings.SplitSeq(w.text(), "\n") {
		at, rest, _ := strings.Cut(text, " ")
		if when, err := strconv.ParseFloat(at, 64); err == nil && when >= since && line.MatchString(rest) {
			return true
		}
	}
	return false
}

// now returns a clock's time, in seconds.
func now(clock int32) float64 {
	var t unix.Timespec
	_ = unix.ClockGettime(clock, &t)
	return float64(t.Sec) + float64(t.Nsec)/1e9
}

// A tool that shows packets to these hosts has written all earlier packets. One host is in the lab, the other in the
// Docker network.
var (
	last         = netip.MustParseAddrPort("203.0.113.9:9")
	lastInDocker = netip.MustParseAddrPort("198.51.100.20:9")
)

func TestWaysOut_Tools(t *testing.T) {
	if !*withTools {
		t.Skip("only with -tools, which make test-escapes gives")
	}
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "strace", "strace")
	testenv.RequireCommand(t, "tcpdump", "tcpdump")
	testenv.RequireCommand(t, "bpftrace", "bpftrace")
	r := newRig(t)
	r.joinDocker(t)
	testenv.MountTracing(t)
	b := &observers{r: r, begun: make(map[string]moment)}
	b.bpftrace = watch(t, exec.Command("bpftrace", "-B", "line", "-e", bpftraceProgram), "ready")
	capture := []string{"-n", "-l", "--immediate-mode", "-tt", "-i"}
	b.tcpdump = watch(t, r.lab.Command(context.Background(), "tcpdump", append(capture, "any")...), "listening on")
	b.onBridge = watch(t, exec.Command("tcpdump", append(capture, r.bridge)...), "listening on")

	seen := make(tools)
	for _, g := range groups {
		command := commander(r.lab.Command)
		if g.container {
			command = exec.CommandContext
		}
		for _, w := range g.ways {
			trace, err := b.run(t, w, command)
			if errors.As(err, new(errNone)) {
				seen[w.name] = [3]string{"-", "-", "-"}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", w.name, err)
			}
			seen[w.name] = [3]string{yes(w.address().MatchString(trace))}
		}
	}
	b.flush(t)
	for _, g := range groups {
		for _, w := range g.ways {
			if columns := seen[w.name]; columns[0] != "-" {
				seen[w.name] = [3]string{columns[0], yes(b.onTheWire(g, w)),
					yes(b.bpftrace.sawSince(b.begun[w.name].monotonic*1e9, w.address()))}
			}
		}
	}
	if err := seen.write(); err != nil {
		t.Fatal(err)
	}
}

// observers are the tools that run during all rows.
type observers struct {
	r                           *rig
	bpftrace, tcpdump, onBridge *watcher
	begun                       map[string]moment
}

// moment is a time by tcpdump's clock and by bpftrace's clock, in seconds.
type moment struct{ wall, monotonic float64 }

// flush waits until the tools have written everything.
func (b *observers) flush(t *testing.T) {
	t.Helper()
	line := func(to netip.AddrPort) *regexp.Regexp {
		return regexp.MustCompile("> " + regexp.QuoteMeta(to.Addr().String()) + `\b`)
	}
	inLab := func() { _ = b.r.lab.Lab.Run(func() error { return udpSendTo(last) }) }
	onHost := func() { _ = udpSendTo(lastInDocker) }
	b.tcpdump.await(t, line(last), inLab)
	b.onBridge.await(t, line(lastInDocker), onHost)
	b.bpftrace.await(t, regexp.MustCompile(regexp.QuoteMeta(last.Addr().String())+`\b`), inLab)
}

// onTheWire reports whether tcpdump saw a packet to the row's host.
func (b *observers) onTheWire(g group, w way) bool {
	on := b.tcpdump
	if g.container {
		on = b.onBridge
	}
	return on.sawSince(b.begun[w.name].wall, regexp.MustCompile("> "+w.address().String()))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// address matches the destinations of the row's packets in the output of the tools.
func (w way) address() *regexp.Regexp {
	var all []string
	for _, a := range w.destinations() {
		all = append(all, regexp.QuoteMeta(a.String()))
	}
	return regexp.MustCompile("(" + strings.Join(all, "|") + `)\b`)
}

// run runs a way in a separate process, with strace from the moment at which a recording would start.
func (b *observers) run(t *testing.T, w way, command commander) (trace string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := command(ctx, "/proc/self/exe")
	cmd.Dir = t.TempDir()
	cmd.Env = b.r.environment(asProgram, w.name)
	cmd.WaitDelay = time.Second
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd.Stdout = stdout
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stdout.Close()
	ended := func(err error) error {
		waited := cmd.Wait()
		if cmd.ProcessState.ExitCode() == statusNone {
			return errNone{strings.TrimSpace(errs.String())}
		}
		if err := errors.Join(err, waited); err != nil {
			return fmt.Errorf("%w: %s", err, errs.String())
		}
		return nil
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return "", ended(err)
	}
	file := filepath.Join(t.TempDir(), "trace")
	strace := watch(t,
		exec.Command("strace", "-f", "-qqq", "-o", file, "-e", "trace=%network", "-p", strconv.Itoa(cmd.Process.Pid)), "")
	awaitTracer(t, cmd.Process.Pid)
	b.begun[w.name] = moment{now(unix.CLOCK_REALTIME), now(unix.CLOCK_MONOTONIC)}
	_, err = io.WriteString(in, "go\n")
	if err := ended(err); err != nil {
		return "", err
	}
	_ = strace.cmd.Process.Signal(unix.SIGTERM) // strace may wait for a daemon
	_, _ = strace.cmd.Process.Wait()
	text, err := os.ReadFile(file)
	return string(text), err
}

// awaitTracer waits until every thread of a process is traced.
func awaitTracer(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		traced := 0
		for _, file := range files {
			text, _ := os.ReadFile(file)
			if !strings.Contains(string(text), "TracerPid:\t0\n") {
				traced++
			}
		}
		if len(files) > 0 && traced == len(files) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("strace traces %d of %d threads", traced, len(files))
		}
	}
}
