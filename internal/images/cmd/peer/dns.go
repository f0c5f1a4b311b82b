package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is the addresses of names, in lower case with a trailing dot.
type zone map[string][]netip.Addr

// parseDNS parses the address of a server, and names as NAME=ADDRESS.
func parseDNS(args []string) (action, error) {
	at, err := parseAddress(args[0])
	if err != nil {
		return nil, err
	}
	z := make(zone)
	for _, text := range args[1:] {
		name, address, _ := strings.Cut(text, "=")
		addr, err := netip.ParseAddr(address)
		if err != nil {
			return nil, fmt.Errorf("%s: want NAME=ADDRESS: %w", text, err)
		}
		name = strings.ToLower(strings.TrimSuffix(name, ".")) + "."
		z[name] = append(z[name], addr)
	}
	return func(ctx context.Context, p *peer) {
		bound, err := z.serve(ctx, at.hostPort)
		p.say("dns "+at.hostPort, bound, err)
	}, nil
}

// serve answers at an address, over UDP and TCP.
func (z zone) serve(ctx context.Context, at string) (bound string, err error) {
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, "udp", at)
	if err != nil {
		return "", err
	}
	listener, err := config.Listen(ctx, "tcp", at)
	if err != nil {
		conn.Close()
		return "", err
	}
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(z.answer(buffer[:n]), from)
		}
	}()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go z.answerStream(c)
		}
	}()
	return listener.Addr().String(), nil
}

func (z zone) answerStream(c net.Conn) {
	defer c.Close()
	var length [2]byte
	for {
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		reply := z.answer(query)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// answer returns the reply to a query; an empty one for anything else.
func (z zone) answer(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || m.Response || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: m.RecursionDesired,
		RecursionAvailable: true}
	m.Answers, m.Authorities, m.Additionals = nil, nil, nil
	found, known := z[strings.ToLower(q.Name.String())]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}
	for _, addr := range found {
		switch {
		case q.Type == dnsmessage.TypeA && addr.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header,
				Body: &dnsmessage.AResource{A: addr.As4()}})
		case q.Type == dnsmessage.TypeAAAA && addr.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header,
				Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}
