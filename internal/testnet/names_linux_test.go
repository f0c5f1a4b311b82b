package testnet

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestResolver_LabNames(t *testing.T) {
	t.Parallel()
	lab, zone := internet(t)
	const both = "2001:db8::7 203.0.113.7"
	for _, tt := range []struct{ name, want, reason string }{
		{"api.pay.test", both, "A and AAAA"},
		{"www.pay.test", both, "an alias"},
		{"cache", "198.51.100.9", "the search list"},
		{"cache.lab.test", "198.51.100.9", "no AAAA is no error"},
		{"unknown.pay.test", "no such host", "NXDOMAIN"},
		{"localhost", "127.0.0.1 ::1", "the machine's hosts file"},
	} {
		for _, netdns := range []string{"go", "cgo"} {
			cmd := program(t, lab, "lookup", tt.name)
			cmd.Env = append(cmd.Env, "GODEBUG=netdns="+netdns)
			got := output(t, cmd)
			if tt.name == "localhost" && got != "" {
				continue // the machine determines which of them exist
			}
			if got != tt.want {
				t.Errorf("%s with the resolver of %s: got %q, want %q: %s", tt.name, netdns, got, tt.want, tt.reason)
			}
		}
	}
	if zone.QueryCount("cache.lab.test") == 0 || zone.QueryCount("localhost") != 0 {
		t.Errorf("unexpected questions: %v", zone.Queries())
	}
}

func TestResolver_TCPRetry(t *testing.T) {
	t.Parallel()
	lab, zone := internet(t)
	zone.Truncate(true)
	for _, netdns := range []string{"go", "cgo"} {
		before := len(zone.Queries())
		cmd := program(t, lab, "lookup", "api.pay.test")
		cmd.Env = append(cmd.Env, "GODEBUG=netdns="+netdns)
		if got, want := output(t, cmd), "2001:db8::7 203.0.113.7"; got != want {
			t.Errorf("resolver of %s: got %q, want %q", netdns, got, want)
		}
		networks := map[string]int{}
		for _, query := range zone.Queries()[before:] {
			networks[query.Network]++
		}
		if networks["udp"] < 2 || networks["tcp"] < 2 {
			t.Errorf("resolver of %s: got questions %v, want both types over both networks", netdns, networks)
		}
	}
}

func TestZone_ChangesWhileServed(t *testing.T) {
	t.Parallel()
	lab, zone := internet(t)
	lookup := func() string { return output(t, program(t, lab, "lookup", "new.pay.test")) }
	if got, want := lookup(), "no such host"; got != want {
		t.Errorf("before: got %q, want %q", got, want)
	}
	if err := zone.Add("new.pay.test A 203.0.113.7"); err != nil { // as api.pay.test
		t.Fatal(err)
	}
	if got, want := lookup(), "203.0.113.7"; got != want {
		t.Errorf("added: got %q, want %q", got, want)
	}
	zone.Remove("new.pay.test")
	if got, want := lookup(), "no such host"; got != want {
		t.Errorf("removed: got %q, want %q", got, want)
	}
}

func TestServeTLS_ByName(t *testing.T) {
	t.Parallel()
	lab, _ := internet(t)
	pem, err := lab.CAPEM()
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	trusting := program(t, lab, "get", "https://www.pay.test/v1")
	trusting.Env = append(trusting.Env, "SSL_CERT_FILE="+ca)
	if got, want := output(t, trusting), "GET https://www.pay.test/v1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := output(t, program(t, lab, "get", "http://api.pay.test/v1")),
		"GET http://api.pay.test/v1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := output(t, program(t, lab, "get", "https://www.pay.test/v1")); got == "GET https://www.pay.test/v1" {
		t.Error("a program that was not given the authority trusts it")
	}

	client, err := lab.Client()
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Get("https://api.pay.test/in-process")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); string(body) != "GET https://api.pay.test/in-process\n" {
		t.Errorf("in process: got %q", body)
	}
}
