// Command peer does on the network, in a container, what its arguments say: commands one after the other, separated by then.
//
//	peer listen :7070 udp::5353 then dial db:5432 cache:6379 then sleep 2s
//
// An ADDRESS is [NETWORK:]HOST:PORT with tcp, tcp4, tcp6, udp, udp4 or udp6; tcp is the default and an empty HOST listens
// everywhere. What goes on in the background ends with the program.
//
//	listen ADDRESS...        echoes what is sent to it, in the background
//	http ADDRESS             serves GET / , /dial?to=ADDRESS and /resolve?name=NAME, in the background
//	dial ADDRESS...          connects to all, one after the other, and closes; over UDP sends a datagram. Dials all though some fail
//	echo ADDRESS...          as dial, but sends a line and waits for it to come back
//	try ADDRESS...           as dial, but a failure is none
//	send TEXT ADDRESS...     sends a datagram from a socket that is not connected
//	resolve NAME...          looks names up
//	dns ADDRESS NAME=IP...   serves these names and no others over UDP and TCP, in the background
//	repeat N COMMAND ARG...  runs a command N times
//	sleep TIME               as 1.5s
//	wait                     until SIGTERM or SIGINT
//	child COMMAND ARG...     runs this program in a child process and waits for it
//	start COMMAND ARG...     the same, but does not wait; not to be left to init, at the end it is killed
//	nested COMMAND ARG...    as child, in a cgroup of its own below this one's (needs CAP_SYS_ADMIN, mounts a cgroup v2 tree)
//	exit CODE                ends here
//
// For child, start and nested "and" separates what runs within: child dial a:1 and sleep 1s then dial b:1. Within those, child takes
// all that follows.
//
// What was done is a line on standard output, "dial tcp db:5432: connected to 172.17.0.2:5432"; what failed goes to standard error, and
// the exit code is 1, after all commands. Wrong arguments are refused before anything is done, with 2. Nothing takes longer than
// 10 seconds but wait and sleep. Names are resolved by Go's own resolver: there is no C library.
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

// patience is how long one thing may take.
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

// action is one command that was parsed.
type action func(ctx context.Context, p *peer)

// parse reads commands, which are separated by a word. Nothing is done yet.
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

// command reads one command.
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
