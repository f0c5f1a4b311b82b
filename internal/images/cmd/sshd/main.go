// Command sshd is an SSH server that only forwards: it listens at the ports that a client requests, and passes
// connections to the client. It replaces the image testcontainers/sshd, with which testcontainers lets containers reach
// ports of the test process.
//
//	PASSWORD=... sshd
//
// Like that image it accepts root at port 22 with the password in the environment, and listens at every IPv4 address,
// whichever one the client names. It rejects sessions, keys, other users and an empty password. Limits: each start
// generates a new host key, and the end of the program cuts open connections.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// loginLimit is the time limit for a login.
const loginLimit = 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Getenv("PASSWORD"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "sshd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, password string) error {
	config, err := newConfig(password)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", "0.0.0.0:22")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	fmt.Println("sshd: listens at", listener.Addr())
	return serve(listener, config)
}

// newConfig accepts root with a password.
func newConfig(password string) (*ssh.ServerConfig, error) {
	if password == "" {
		return nil, errors.New("set PASSWORD, by which root logs in")
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make host key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, fmt.Errorf("make host key: %w", err)
	}
	config := &ssh.ServerConfig{
		PasswordCallback: func(c ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
			if c.User() != "root" || subtle.ConstantTimeCompare(given, []byte(password)) != 1 {
				return nil, fmt.Errorf("%q may not log in", c.User())
			}
			return nil, nil
		},
	}
	config.AddHostKey(signer)
	return config, nil
}

// serve serves clients until the listener is closed.
func serve(listener net.Listener, config *ssh.ServerConfig) error {
	for {
		conn, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return err
		}
		go func() {
			defer conn.Close()
			if err := client(conn, config); err != nil {
				fmt.Fprintf(os.Stderr, "sshd: %v: %v\n", conn.RemoteAddr(), err)
			}
		}()
	}
}

// client serves one client until it leaves. Clients that only check for a listener never log in.
func client(conn net.Conn, config *ssh.ServerConfig) error {
	if err := conn.SetDeadline(time.Now().Add(loginLimit)); err != nil {
		return err
	}
	c, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	defer c.Close()
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	go func() {
		for channel := range channels {
			_ = channel.Reject(ssh.Prohibited, "this server only forwards")
		}
	}()
	newForwards(c).answer(requests)
	return nil
}
