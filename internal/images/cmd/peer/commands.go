package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// peer is the shared state of one program's commands.
type peer struct {
	failed atomic.Bool
	began  []*exec.Cmd // processes of start, which are killed at the end
}

// say prints the result of an action, or its error.
func (p *peer) say(what, done string, err error) {
	if err != nil {
		p.failed.Store(true)
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		return
	}
	fmt.Printf("%s: %s\n", what, done)
}

// syntax is a command's number of arguments, -1 as the maximum for any number, and its parser.
type syntax struct {
	least, most int
	parse       func(args []string) (action, error)
}

var commands map[string]syntax

func init() { // not in the declaration, which would refer to itself
	commands = map[string]syntax{
		"listen":  {1, -1, addresses((*peer).listen)},
		"http":    {1, 1, addresses((*peer).serveHTTP)},
		"serve":   {1, -1, addresses((*peer).serve)},
		"request": {2, -1, parseRequest},
		"grpc":    {1, -1, parseGRPC},
		"dial":    {1, -1, addresses(dialAll(false, false))},
		"echo":    {1, -1, addresses(dialAll(true, false))},
		"try":     {1, -1, addresses(dialAll(false, true))},
		"send":    {2, -1, parseSend},
		"resolve": {1, -1, parseResolve},
		"dns":     {1, -1, parseDNS},
		"repeat":  {2, -1, parseRepeat},
		"sleep":   {1, 1, parseSleep},
		"wait": {0, 0, func([]string) (action, error) {
			return func(ctx context.Context, _ *peer) { <-ctx.Done() },
				nil
		}},
		"child":  {1, -1, within((*peer).child)},
		"start":  {1, -1, within((*peer).start)},
		"nested": {1, -1, within((*peer).nested)},
		"exit":   {1, 1, parseExit},
	}
}

// address is a network and a host:port.
type address struct{ network, hostPort string }

func (a address) String() string { return a.network + " " + a.hostPort }

func (a address) isUDP() bool { return strings.HasPrefix(a.network, "udp") }

func parseAddress(text string) (address, error) {
	a := address{"tcp", text}
	first, rest, _ := strings.Cut(text, ":")
	switch first {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
		if strings.Contains(rest, ":") { // not a host with that name
			a = address{first, rest}
		}
	}
	if _, _, err := net.SplitHostPort(a.hostPort); err != nil {
		return a, err
	}
	return a, nil
}

func parseAddresses(args []string) ([]address, error) {
	var all []address
	for _, text := range args {
		a, err := parseAddress(text)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// addresses returns the parser of a command with addresses as its arguments.
func addresses(do func(p *peer, ctx context.Context, to []address)) func([]string) (action, error) {
	return func(args []string) (action, error) {
		all, err := parseAddresses(args)
		return func(ctx context.Context, p *peer) { do(p, ctx, all) }, err
	}
}

func parseSend(args []string) (action, error) {
	to, err := parseAddresses(args[1:])
	for _, a := range to {
		if err == nil && !a.isUDP() {
			err = fmt.Errorf("%v: a datagram goes to udp:HOST:PORT", a)
		}
	}
	return func(ctx context.Context, p *peer) { p.send(ctx, args[0], to) }, err
}

func parseResolve(names []string) (action, error) {
	return func(ctx context.Context, p *peer) {
		for _, name := range names {
			text, err := resolve(ctx, name)
			p.say("resolve "+name, text, err)
		}
	}, nil
}

func resolve(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(ctx, name)
	return strings.Join(found, " "), err
}

func parseRepeat(args []string) (action, error) {
	n, err := strconv.Atoi(args[0])
	if err == nil && n < 1 {
		err = errors.New("at least once")
	}
	if err != nil {
		return nil, err
	}
	do, err := command(args[1:])
	return func(ctx context.Context, p *peer) {
		for i := 0; i < n && ctx.Err() == nil; i++ {
			do(ctx, p)
		}
	}, err
}

func parseSleep(args []string) (action, error) {
	d, err := time.ParseDuration(args[0])
	return func(ctx context.Context, _ *peer) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}, err
}

func parseExit(args []string) (action, error) {
	code, err := strconv.ParseUint(args[0], 10, 8)
	return func(context.Context, *peer) { os.Exit(int(code)) }, err
}

// within returns the parser of a command with a child process's commands as its arguments.
func within(do func(p *peer, ctx context.Context, args []string)) func([]string) (action, error) {
	return func(args []string) (action, error) {
		var words []string
		for _, word := range args {
			if word == "and" {
				word = "then"
			}
			words = append(words, word)
		}
		if _, err := parse(words, "then"); err != nil {
			return nil, err
		}
		return func(ctx context.Context, p *peer) { do(p, ctx, words) }, nil
	}
}
