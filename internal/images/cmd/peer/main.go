// Command peer executes the network actions in its arguments, in a container: commands in sequence, separated by then.
//
//	peer listen :7070 udp::5353 then dial db:5432 cache:6379 then sleep 2s
//
// An ADDRESS is [NETWORK:]HOST:PORT with tcp, tcp4, tcp6, udp, udp4 or udp6; tcp is the default and an empty HOST
// listens everywhere. Background actions end with the program.
//
//	listen ADDRESS...        echoes, in the background
//	http ADDRESS             serves GET / , /dial?to=ADDRESS and /resolve?name=NAME, in the background
//	serve ADDRESS...         answers every request over HTTP/1 and HTTP/2, and every call of gRPC, in the background
//	request METHOD URL...    sends requests over HTTP/1
//	grpc URL...              calls methods of gRPC: http://HOST:PORT/PACKAGE.SERVICE/METHOD
//	dial ADDRESS...          connects to each in sequence, and closes; sends a datagram over UDP; goes on after failures
//	echo ADDRESS...          like dial, but sends a line and waits for the echo
//	try ADDRESS...           like dial, but ignores failures
//	send TEXT ADDRESS...     sends a datagram from an unconnected socket
//	resolve NAME...          looks names up
//	dns ADDRESS NAME=IP...   serves only these names over UDP and TCP, in the background
//	repeat N COMMAND ARG...  runs a command N times
//	sleep TIME               such as 1.5s
//	wait                     until SIGTERM or SIGINT
//	child COMMAND ARG...     runs this program in a child process and waits for it
//	start COMMAND ARG...     the same without waiting; the process is killed at the end
//	nested COMMAND ARG...    like child, in a new cgroup below this one (needs CAP_SYS_ADMIN, mounts cgroup v2)
//	exit CODE                ends here
//
// For child, start and nested "and" separates inner commands: child dial a:1 and sleep 1s then dial b:1. Within those,
// child takes all following arguments.
//
// Each action prints a line on standard output, "dial tcp db:5432: connected to 172.17.0.2:5432". Failures go to
// standard error, and the exit code is 1, after all commands. Wrong arguments are rejected before any action, with 2.
// Every action except wait and sleep takes at most 10 seconds. Go's own resolver resolves names: there is no C library.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// patience is the time limit of one action.
const patience = 10 * time.Second

func main() {
	run, err := parse(os.Args[1:], "then")
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	p := &peer{}
	for _, do := range run {
		if ctx.Err() != nil {
			break
		}
		do(ctx, p)
	}
	stop()
	p.killStarted()
	if p.failed.Load() {
		os.Exit(1)
	}
}

// action is one parsed command.
type action func(ctx context.Context, p *peer)

// parse parses commands, which a word separates. It executes nothing.
func parse(words []string, separator string) ([]action, error) {
	var run []action
	for len(words) > 0 {
		end := 0
		for end < len(words) && words[end] != separator {
			end++
		}
		do, err := command(words[:end])
		if err != nil {
			return nil, err
		}
		run = append(run, do)
		if end == len(words) {
			return run, nil
		}
		words = words[end+1:]
	}
	return nil, fmt.Errorf("a command is missing: at the start, or behind %q", separator)
}

// command parses one command.
func command(words []string) (action, error) {
	if len(words) == 0 {
		return nil, fmt.Errorf("an empty command: two separators in a row")
	}
	name, args := words[0], words[1:]
	c, known := commands[name]
	if !known {
		return nil, fmt.Errorf("unknown command %q", name)
	}
	if len(args) < c.least || c.most >= 0 && len(args) > c.most {
		return nil, fmt.Errorf("%s: wrong number of arguments: %q", name, strings.Join(args, " "))
	}
	do, err := c.parse(args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return do, nil
}
