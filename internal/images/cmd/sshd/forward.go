package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"golang.org/x/crypto/ssh"
)

// place is the address at which a client asks the server to listen (RFC 4254, 7.1), in wire format.
type place struct {
	Host string
	Port uint32
}

// connected informs the client of a connection (RFC 4254, 7.2), in wire format.
type connected struct {
	Host       string // as the client requested it: place identifies the client's forward
	Port       uint32
	OriginHost string
	OriginPort uint32
}

// forwards are the ports at which the server listens for one client.
type forwards struct {
	client *ssh.ServerConn
	open   map[place]net.Listener
}

func newForwards(client *ssh.ServerConn) *forwards {
	return &forwards{client, make(map[place]net.Listener)}
}

// answer handles a client's requests until it leaves, and then closes its ports.
func (f *forwards) answer(requests <-chan *ssh.Request) {
	for r := range requests {
		answer, err := f.do(r)
		if err != nil {
			fmt.Fprintf(os.Stderr, "sshd: %s: %v\n", r.Type, err)
		}
		if r.WantReply {
			_ = r.Reply(err == nil, answer) // if the client is gone the loop ends
		}
	}
	for _, listener := range f.open {
		listener.Close()
	}
}

func (f *forwards) do(r *ssh.Request) (answer []byte, err error) {
	var p place
	switch r.Type {
	case "tcpip-forward":
		if err := ssh.Unmarshal(r.Payload, &p); err != nil {
			return nil, err
		}
		return f.listen(p)
	case "cancel-tcpip-forward":
		if err := ssh.Unmarshal(r.Payload, &p); err != nil {
			return nil, err
		}
		listener, known := f.open[p]
		if !known {
			return nil, fmt.Errorf("port %d is not forwarded for %q", p.Port, p.Host)
		}
		delete(f.open, p)
		return nil, listener.Close()
	}
	return nil, fmt.Errorf("this server only forwards")
}

// listen opens a port; for 0 it chooses a free one and returns its number.
func (f *forwards) listen(p place) (answer []byte, err error) {
	if _, taken := f.open[p]; taken {
		return nil, fmt.Errorf("port %d is forwarded for %q already", p.Port, p.Host)
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp4",
		net.JoinHostPort("0.0.0.0", strconv.FormatUint(uint64(p.Port), 10)))
	if err != nil {
		return nil, err
	}
	if p.Port == 0 {
		_, p.Port = split(listener.Addr())
		answer = ssh.Marshal(struct{ Port uint32 }{p.Port})
	}
	f.open[p] = listener
	go f.accept(p, listener)
	return answer, nil
}

func (f *forwards) accept(p place, listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go f.forward(p, conn)
	}
}

// forward passes a connection to the client.
func (f *forwards) forward(p place, conn net.Conn) {
	defer conn.Close()
	host, port := split(conn.RemoteAddr())
	channel, requests, err := f.client.OpenChannel("forwarded-tcpip",
		ssh.Marshal(connected{p.Host, p.Port, host, port}))
	if err != nil {
		fmt.Fprintf(os.Stderr, "sshd: forward port %d: %v\n", p.Port, err)
		return
	}
	defer channel.Close()
	go ssh.DiscardRequests(requests)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(channel, conn)
		_ = channel.CloseWrite()
	}()
	_, _ = io.Copy(conn, channel)
	if half, ok := conn.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	<-sent
}

func split(addr net.Addr) (host string, port uint32) {
	a := addr.(*net.TCPAddr)
	return a.IP.String(), uint32(a.Port)
}
