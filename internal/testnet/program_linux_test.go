package testnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary the program that the tests run inside.
func TestMain(m *testing.M) {
	if program := os.Getenv("TESTNET_PROGRAM"); program != "" {
		output, err := runProgram(program, os.Args[1:])
		fmt.Print(output)
		if err != nil {
			fmt.Print(class(err))
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is a command that runs one of the programs of runProgram inside.
func program(tb testing.TB, lab *Net, name string, args ...string) *exec.Cmd {
	cmd := lab.Command(tb.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "TESTNET_PROGRAM="+name, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// output runs a command and returns its output.
func output(tb testing.TB, cmd *exec.Cmd) string {
	tb.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("run %q: %v\n%s", cmd.Args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func runProgram(name string, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	switch name {
	case "echo": // NETWORK ADDRESS [TIMEOUT]
		return echo(args[0], args[1], args[2:]...)
	case "lookup": // NAME
		addresses, err := net.DefaultResolver.LookupHost(ctx, args[0])
		slices.Sort(addresses)
		return strings.Join(addresses, " "), err
	case "get": // URL
		response, err := http.Get(args[0])
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	return "", fmt.Errorf("no program %q", name)
}

// echo sends a word and returns the answer.
func echo(network, address string, timeout ...string) (string, error) {
	patience := 10 * time.Second
	if len(timeout) > 0 {
		patience, _ = time.ParseDuration(timeout[0])
	}
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("hello")); err != nil {
		return "", err
	}
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}

// class is the kind of a network error, in a word.
func class(err error) string {
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return err.Error()
}
