package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// started returns the URL of a server that answers with "answer", and what ends it.
func started(t *testing.T, results http.Handler) (url string, stop func() error) {
	t.Helper()
	const address = "127.0.0.1:0"
	listener, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, address, results, log.New(io.Discard, "", 0)) }()
	isOver := false
	stop = func() error {
		if isOver {
			return nil
		}
		isOver = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return URL(listener), stop
}

var plain = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "answer") })

// ask sends a request whose Host is another one, and returns the answer with its text.
func ask(t *testing.T, method, url, host string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		request.Host = host
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func TestListen_LoopbackByDefault(t *testing.T) {
	for _, address := range []string{":0", "127.0.0.1:0", "localhost:0"} {
		listener, err := Listen(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		defer listener.Close()
		if IsExposed(listener) {
			t.Errorf("%s: listens on %s", address, listener.Addr())
		}
		if url := URL(listener); !strings.HasPrefix(url, "http://127.0.0.1:") || strings.HasSuffix(url, ":0/") {
			t.Errorf("%s: URL %s", address, url)
		}
	}
	everywhere, err := Listen("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer everywhere.Close()
	if !IsExposed(everywhere) || !strings.HasPrefix(URL(everywhere), "http://localhost:") {
		t.Errorf("0.0.0.0: exposed %t, URL %s", IsExposed(everywhere), URL(everywhere))
	}
}

func TestListen_Errors(t *testing.T) {
	taken, err := Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, row := range []struct{ reason, address, want string }{
		{"no port", "127.0.0.1", "want HOST:PORT, such as 127.0.0.1:8080"},
		{"only a port", "8080", "want HOST:PORT"},
		{"an unknown port", "127.0.0.1:no-such-service", "no-such-service"},
		{"a port in use", taken.Addr().String(), "address already in use: name another port, or 0 for any free port"},
		{"an address of another machine", "192.0.2.1:0", "192.0.2.1"},
	} {
		listener, err := Listen(row.address)
		if err == nil {
			listener.Close()
			t.Errorf("%s: it listens on %s", row.reason, listener.Addr())
		} else if !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: error %q, want %q", row.reason, err, row.want)
		}
	}
}

// A name of an attacker that resolves to this address does not help.
func TestServe_OtherHostsGetAnError(t *testing.T) {
	url, _ := started(t, plain)
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
	for _, row := range []struct {
		host     string
		isServed bool
	}{
		{"127.0.0.1:" + port, true}, {"localhost:" + port, true}, {"LocalHost", true}, {"[::1]:" + port, true},
		{"localhost:1", true}, // a forwarded port
		{"attacker.example:" + port, false}, {"127.0.0.1.attacker.example", false}, {"localhost.attacker.example", false},
		{"192.0.2.1:" + port, false}, {"2130706433", false},
	} {
		answer, text := ask(t, http.MethodGet, url, row.host)
		if row.isServed && (answer.StatusCode != http.StatusOK || text != "answer") {
			t.Errorf("host %s: status %d: %s", row.host, answer.StatusCode, text)
		}
		if !row.isServed && (answer.StatusCode != http.StatusForbidden || strings.Contains(text, "answer") ||
			!strings.Contains(text, "use the address that netzero report has printed")) {
			t.Errorf("host %s: status %d: %s", row.host, answer.StatusCode, text)
		}
	}
}

// HTTP/1.0 permits a request without Host.
func TestServe_NoHost(t *testing.T) {
	url, _ := started(t, plain)
	connection, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "GET / HTTP/1.0\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", answer.StatusCode)
	}
}

func TestIsServed_Addresses(t *testing.T) {
	for _, row := range []struct {
		bound, name, host string
		want              bool
	}{
		{"127.0.0.1", "", "127.0.0.1:80", true},
		{"192.0.2.7", "192.0.2.7", "192.0.2.7:80", true},
		{"192.0.2.7", "192.0.2.7", "192.0.2.8:80", false},
		{"192.0.2.7", "CI.example.com", "ci.example.com:80", true},
		{"192.0.2.7", "ci.example.com", "ci.example.com.attacker.example:80", false},
		{"0.0.0.0", "0.0.0.0", "192.0.2.8:80", true},
		{"::", "::", "[2001:db8::1]:80", true},
		{"::", "::", "attacker.example:80", false},
		{"2001:db8::1", "2001:db8::1", "[2001:db8::1]", true},
		{"192.0.2.7", "192.0.2.7", "[::ffff:192.0.2.7]", true},
		{"127.0.0.1", "", "", false},
	} {
		if got := isServed(row.host, netip.MustParseAddr(row.bound), row.name); got != row.want {
			t.Errorf("%q at %s, named %q: %t", row.host, row.bound, row.name, got)
		}
	}
}

// Browsers refuse to hand an answer to pages of other sites.
func TestServe_Headers(t *testing.T) {
	url, _ := started(t, plain)
	for _, host := range []string{"", "attacker.example"} {
		answer, _ := ask(t, http.MethodGet, url, host)
		for name, want := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":       "nosniff",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy":              "no-referrer",
			"Cache-Control":                "no-cache",
			"Access-Control-Allow-Origin":  "",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("host %q: %s is %q, want %q", host, name, got, want)
			}
		}
	}
}

// The server finishes an answer that is on its way, and takes no more requests.
func TestServe_EndsAfterItsAnswers(t *testing.T) {
	asked, release := make(chan bool), make(chan bool)
	url, stop := started(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-release
		fmt.Fprint(w, "late")
	}))
	texts := make(chan string, 1)
	go func() {
		answer, err := http.Get(url)
		if err != nil {
			texts <- err.Error()
			return
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		texts <- string(text)
	}()
	<-asked
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for { // until the listener is closed
		connection, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
		if err != nil {
			break
		}
		connection.Close()
	}
	close(release)
	if text := <-texts; text != "late" {
		t.Errorf("the last answer is %q", text)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A client that sends nothing, no end or too much does not hold a connection for ever.
func TestServe_Limits(t *testing.T) {
	s := newServer(plain, nil)
	for name, limit := range map[string]time.Duration{
		"read": s.ReadTimeout, "write": s.WriteTimeout, "idle": s.IdleTimeout,
	} {
		if limit <= 0 {
			t.Errorf("%s: no limit", name)
		}
	}
	url, _ := started(t, plain)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X", strings.Repeat("x", 2*maxHeaderBytes))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", answer.StatusCode)
	}
}
