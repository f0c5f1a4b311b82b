package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

const password = "open sesame"

// server serves on loopback until the test ends, and returns its address.
func server(t *testing.T) string {
	t.Helper()
	config, err := newConfig(password)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- serve(listener, config) }()
	t.Cleanup(func() {
		listener.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func logIn(address, user, password string) (*ssh.Client, error) {
	return ssh.Dial("tcp", address, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.Password(password)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second,
	})
}

func TestSSHD_ForwardsConnections(t *testing.T) {
	client, err := logIn(server(t), "root", password)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	listener, err := client.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(c)
			_, _ = io.WriteString(c, strings.ToUpper(string(text)))
			c.Close()
		}
	}()
	// The same port at another address than the client named.
	conn, err := net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: address.Port})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); string(answer) != "HELLO" {
		t.Errorf("the client answered %q, %v", answer, err)
	}
	if _, err := client.Listen("tcp", "localhost:"+port(address)); err == nil {
		t.Error("a port is forwarded twice")
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp4", "127.0.0.1:"+port(address)); err == nil {
		conn.Close()
		t.Error("a port that is no longer forwarded is open")
	}
}

func TestSSHD_ClosesPorts(t *testing.T) {
	client, err := logIn(server(t), "root", password)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := client.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp4", "127.0.0.1:"+port(listener.Addr().(*net.TCPAddr)))
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(end) {
			t.Fatal("the port is open")
		}
	}
}

func TestSSHD_RejectsOtherLogins(t *testing.T) {
	address := server(t)
	for _, c := range []struct{ reason, user, password string }{
		{"a wrong password", "root", "close sesame"},
		{"no password", "root", ""},
		{"another user", "postgres", password},
	} {
		if client, err := logIn(address, c.user, c.password); err == nil {
			client.Close()
			t.Errorf("%s: logged in", c.reason)
		}
	}
	if _, err := newConfig(""); err == nil || !strings.Contains(err.Error(), "set PASSWORD") {
		t.Errorf("without a password of its own: %v", err)
	}
	client, err := logIn(address, "root", password)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if session, err := client.NewSession(); err == nil {
		session.Close()
		t.Error("there are sessions")
	}
}

func port(a *net.TCPAddr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}
