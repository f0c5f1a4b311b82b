package cost

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/netzerotest"
)

// A kind of work repeats one operation.
type kind struct {
	name string
	what string // of one operation, for the document
	// do does it until the time is over, and returns how often.
	do func(s servers, until time.Time) (int, error)
}

var kinds = []kind{
	{"connect", "TCP connection on loopback, opened and closed", connect},
	{"udp", "UDP datagram on loopback", sendDatagrams},
	{"bulk", "64 KiB over TCP on loopback", sendBulk},
	{"http", "HTTP request over a kept connection", request},
	{"process", "child process (`true`)", startProcesses},
}

var (
	workKind = flag.String("work", "connect", "what TestWork does")
	workTime = flag.Duration("for", 20*time.Millisecond, "how long TestWork does it")
)

// serversVariable tells TestWork where the servers are. result precedes the nanoseconds of one operation.
const (
	serversVariable = "COST_SERVERS"
	result          = "cost: ns/op: "
)

// TestWork is the observed test.
func TestWork(t *testing.T) {
	s, err := parseServers(os.Getenv(serversVariable))
	if err != nil {
		s = serve(t)
	}
	netzerotest.Record(t, netzerotest.Workload("work"), netzerotest.Golden("testdata/anything.yaml"),
		netzerotest.Peer(s.tcp, "tcp:8080"), netzerotest.Peer(s.udp, "udp:8080"), netzerotest.Peer(s.http, "http:8080"))
	for _, k := range kinds {
		if k.name != *workKind {
			continue
		}
		begin := time.Now()
		n, err := k.do(s, begin.Add(*workTime))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s%.0f\n", result, float64(time.Since(begin).Nanoseconds())/float64(n))
		return
	}
	t.Fatalf("-work %s is no kind of work", *workKind)
}

// servers are addresses on loopback.
type servers struct{ tcp, udp, http string }

func (s servers) String() string { return strings.Join([]string{s.tcp, s.udp, s.http}, " ") }

func parseServers(text string) (servers, error) {
	all := strings.Fields(text)
	if len(all) != 3 {
		return servers{}, fmt.Errorf("%s=%q: three addresses are expected", serversVariable, text)
	}
	return servers{all[0], all[1], all[2]}, nil
}

// serve starts the servers in this process.
func serve(t *testing.T) servers {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close() })
	go func() {
		for buffer := make([]byte, 2048); ; {
			if _, _, err := udp.ReadFrom(buffer); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}()
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(web.Close)
	return servers{tcp.Addr().String(), udp.LocalAddr().String(), web.Listener.Addr().String()}
}

// repeat calls do until the time is over.
func repeat(until time.Time, do func() error) (n int, err error) {
	for ; time.Now().Before(until); n++ {
		if err := do(); err != nil {
			return n, err
		}
	}
	return max(n, 1), nil
}

func connect(s servers, until time.Time) (int, error) {
	return repeat(until, func() error {
		conn, err := net.Dial("tcp", s.tcp)
		if err != nil {
			return err
		}
		_ = conn.(*net.TCPConn).SetLinger(0) // closes by a reset: ports in TIME_WAIT would run out
		return conn.Close()
	})
}

func sendDatagrams(s servers, until time.Time) (int, error) {
	conn, err := net.Dial("udp", s.udp)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	payload := make([]byte, 100)
	return repeat(until, func() error {
		_, err := conn.Write(payload)
		return err
	})
}

func sendBulk(s servers, until time.Time) (int, error) {
	conn, err := net.Dial("tcp", s.tcp)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	payload := make([]byte, 64<<10)
	return repeat(until, func() error {
		_, err := conn.Write(payload)
		return err
	})
}

func request(s servers, until time.Time) (int, error) {
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	defer client.CloseIdleConnections()
	return repeat(until, func() error {
		response, err := client.Get("http://" + s.http)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		return errors.Join(err, response.Body.Close())
	})
}

func startProcesses(_ servers, until time.Time) (int, error) {
	return repeat(until, func() error { return exec.Command("true").Run() })
}

// runWork runs TestWork as another process and returns the nanoseconds of one operation. prefix is a command that runs
// it, such as strace with its options.
func runWork(t *testing.T, k kind, s servers, each time.Duration, netzero string, prefix ...string) float64 {
	t.Helper()
	args := append(prefix, self(t), "-test.run", "^TestWork$", "-test.v", "-work", k.name, "-for", each.String())
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), serversVariable+"="+s.String(), "NETZERO="+netzero)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, result); ok {
			ns, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return ns
		}
	}
	t.Fatalf("%v: no result:\n%s", args, out)
	return 0
}

// self returns the path of this test binary.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
