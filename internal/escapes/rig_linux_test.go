package escapes

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testnet"
)

// insideAddress is the address of programs inside of a lab.
var insideAddress = netip.MustParseAddr("192.0.2.2")

// insideDevice returns the interface with insideAddress.
func insideDevice() (net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return net.Interface{}, err
	}
	for _, device := range all {
		addresses, err := device.Addrs()
		if err != nil {
			return net.Interface{}, err
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == insideAddress {
				return device, nil
			}
		}
	}
	return net.Interface{}, fmt.Errorf("no interface has %s", insideAddress)
}

// rig is the lab with a host for each row, and the unrecorded processes that the rows need.
type rig struct {
	t                      *testing.T
	lab                    *testnet.Net
	lender                 string
	network, bridge, image string // of the containers

	static string // the path of a static executable; empty if this one is static

	datagrams map[string][]*testnet.Server // servers at port 8125/UDP of each row's host
	packets   *capture
	enforced  bool // record with Enforce
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, lab: testnet.New(t), datagrams: make(map[string][]*testnet.Server)}
	t.Logf("the hosts are reached over %s", r.lab.Wire())
	for _, w := range allWays() {
		to := hostOf(w.name)
		r.lab.Host(to.v4.String(), to.v6.String())
	}
	r.lab.Host(offered.String(), last.Addr().String())
	if err := r.lab.RunOutside(func() error { return multipathOffer(offered) }); err != nil &&
		!errors.Is(err, unix.ENOENT) {
		t.Fatal(err)
	}
	r.serve()
	r.lend()
	r.buildStatic()
	r.beacon(hostOf("UDP, connected to a peer that sent first"))
	r.check(r.lab.Lab.Run(prepareInside))
	r.captureOutside()
	return r
}

// serve echoes at the ports 443/TCP and 8125/UDP of every host.
func (r *rig) serve() {
	r.t.Helper()
	r.check(r.lab.RunOutside(func() error {
		listener, err := net.Listen("tcp", ":443")
		if err != nil {
			return err
		}
		r.t.Cleanup(func() { listener.Close() })
		go echoConnections(listener)
		return nil
	}))
	// A single socket for all hosts would answer from another address than the one that received the datagram.
	for _, w := range allWays() {
		to := hostOf(w.name)
		r.datagrams[w.name] = []*testnet.Server{r.lab.ServeUDP(to.udp4().String(), nil),
			r.lab.ServeUDP(to.udp6().String(), nil)}
	}
}

func echoConnections(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			b := make([]byte, 2048)
			for {
				n, err := conn.Read(b)
				if err != nil {
					return
				}
				if _, err := conn.Write(b[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// prepareInside enables features of the network namespace that rows need.
func prepareInside() error {
	for file, value := range map[string]string{
		"/proc/sys/net/ipv4/ping_group_range": "0 2147483647",
		"/proc/sys/net/ipv4/ip_forward":       "1",
		// If inside and outside are the same, a frame from a packet socket arrives with a source address of this
		// machine.
		"/proc/sys/net/ipv4/conf/all/accept_local": "1",
	} {
		if err := os.WriteFile(file, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// environment returns the environment of a process inside.
func (r *rig) environment(as string, ways ...string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(), "GORACE=atexit_sleep_ms=0",
		asVariable + "=" + as, waysVariable + "=" + strings.Join(ways, "\n"), lenderVariable + "=" + r.lender,
		staticVariable + "=" + r.static,
		networkVariable + "=" + r.network, imageVariable + "=" + r.image,
	}
	for _, variable := range os.Environ() { // the address of the engine
		if strings.HasPrefix(variable, "DOCKER_") || strings.HasPrefix(variable, "TESTCONTAINERS_") {
			env = append(env, variable)
		}
	}
	return env
}

// commander makes commands in the network namespace from which the rows' hosts are reachable.
type commander func(ctx context.Context, name string, args ...string) *exec.Cmd

// record runs ways in one process of the user's test binary, and returns their outcomes.
func (r *rig) record(t *testing.T, command commander, ways []string, env ...string) []outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // a guest on a busy machine takes more than three
	defer cancel()
	args := []string{"-test.paniconexit0", "-test.v", "-test.timeout=470s"}
	if r.enforced {
		env = append(env, enforcedVariable+"=1")
	} else {
		args = append(args, "-update")
	}
	cmd := command(ctx, "/proc/self/exe", args...)
	cmd.Dir = filepath.Join(t.TempDir(), "shop")
	if err := os.Mkdir(cmd.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(r.environment(asUser, ways...), env...)
	cmd.WaitDelay = time.Second // for daemons that keep the output open
	out, err := cmd.CombinedOutput()
	all, parseErr := parseOutcomes(string(out))
	if parseErr != nil {
		t.Fatal(parseErr)
	}
	if len(all) != len(ways) {
		t.Fatalf("%d of %d ways ran: %v\n%s", len(all), len(ways), err, out)
	}
	r.packets.complete(t, r)
	return all
}

// arrived reports whether a datagram arrived at a row's host.
func (r *rig) arrived(w way) bool {
	return slices.ContainsFunc(r.datagrams[w.name], func(s *testnet.Server) bool { return s.Used() > 0 })
}

// buildStatic builds a small static program, unless this one is static, as in a guest.
func (r *rig) buildStatic() {
	r.t.Helper()
	own, err := elf.Open("/proc/self/exe")
	r.check(err)
	defer own.Close()
	if !slices.ContainsFunc(own.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return
	}
	r.static = filepath.Join(r.t.TempDir(), "static")
	cmd := exec.Command("go", "build", "-o", r.static, "github.com/netzero-dev/netzero/internal/images/cmd/peer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("build static program: %v\n%s", err, out)
	}
}
