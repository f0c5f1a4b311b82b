package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// listen echoes at addresses. It returns when all of them listen.
func (p *peer) listen(ctx context.Context, at []address) {
	for _, a := range at {
		var bound net.Addr
		var err error
		if a.isUDP() {
			var conn net.PacketConn
			if conn, err = new(net.ListenConfig).ListenPacket(ctx, a.network, a.hostPort); err == nil {
				bound = conn.LocalAddr()
				go echoDatagrams(conn)
			}
		} else {
			var listener net.Listener
			if listener, err = new(net.ListenConfig).Listen(ctx, a.network, a.hostPort); err == nil {
				bound = listener.Addr()
				go echoStreams(listener)
			}
		}
		p.say("listen "+a.String(), fmt.Sprint(bound), err)
	}
}

func echoStreams(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}()
	}
}

func echoDatagrams(conn net.PacketConn) {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err == nil {
			_, err = conn.WriteTo(buffer[:n], from)
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// dialAll connects to addresses. echoes waits for an echo, fails ignores failures.
func dialAll(echoes, fails bool) func(p *peer, ctx context.Context, to []address) {
	return func(p *peer, ctx context.Context, to []address) {
		for _, a := range to {
			done, err := dial(ctx, a, echoes)
			if err != nil && fails {
				done, err = "failed: "+err.Error(), nil
			}
			p.say("dial "+a.String(), done, err)
		}
	}
}

// dial connects to an address. Over UDP that sends nothing, so a datagram follows.
func dial(ctx context.Context, a address, echoes bool) (string, error) {
	const line = "netzero\n"
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, a.network, a.hostPort)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	done := "connected to " + conn.RemoteAddr().String()
	if !echoes && !a.isUDP() {
		return done, nil
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, line); err != nil || !echoes {
		return done, err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && answer != line {
		err = fmt.Errorf("answered %q", answer)
	}
	return done + ", which answered", err
}

// send sends a datagram to each address from one unconnected socket.
func (p *peer) send(ctx context.Context, text string, to []address) {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", ":0")
	if err != nil {
		p.say("send", "", err)
		return
	}
	defer conn.Close()
	for _, a := range to {
		var addr *net.UDPAddr
		addr, err := net.ResolveUDPAddr(a.network, a.hostPort)
		if err == nil {
			_, err = conn.WriteTo([]byte(text), addr)
		}
		p.say("send "+a.String(), fmt.Sprintf("sent to %v", addr), err)
	}
}

// serveHTTP dials and looks up at the clients' request.
func (p *peer) serveHTTP(ctx context.Context, at []address) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		from, _ := netip.ParseAddrPort(r.RemoteAddr)
		fmt.Fprintln(w, "peer:", from.Addr())
	})
	mux.HandleFunc("GET /dial", func(w http.ResponseWriter, r *http.Request) {
		a, err := parseAddress(r.FormValue("to"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		done, err := dial(r.Context(), a, false)
		answer(w, done, err)
	})
	mux.HandleFunc("GET /resolve", func(w http.ResponseWriter, r *http.Request) {
		found, err := resolve(r.Context(), r.FormValue("name"))
		answer(w, found, err)
	})
	for _, a := range at {
		listener, err := new(net.ListenConfig).Listen(ctx, a.network, a.hostPort)
		if err != nil {
			p.say("http "+a.String(), "", err)
			continue
		}
		server := &http.Server{Handler: mux, ReadHeaderTimeout: patience}
		go func() { _ = server.Serve(listener) }()
		p.say("http "+a.String(), listener.Addr().String(), nil)
	}
}

func answer(w http.ResponseWriter, text string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintln(w, text)
}
