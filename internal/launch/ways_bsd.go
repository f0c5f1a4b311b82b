//go:build unix && !linux

package launch

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// forwarded are the signals that are for the command.
var forwarded = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
}

// linuxNumbers are the numbers that Linux gives to signals to which this system gives others.
var linuxNumbers = map[syscall.Signal]int{
	syscall.SIGBUS: 7, syscall.SIGUSR1: 10, syscall.SIGUSR2: 12, syscall.SIGCHLD: 17, syscall.SIGCONT: 18,
	syscall.SIGSTOP: 19, syscall.SIGTSTP: 20, syscall.SIGURG: 23, syscall.SIGIO: 29, syscall.SIGSYS: 31,
}

// linuxSignal returns the number that Linux gives to a signal.
func linuxSignal(s os.Signal) (int, bool) {
	number := s.(syscall.Signal)
	if n, ok := linuxNumbers[number]; ok {
		return n, true
	}
	return int(number), true
}

// ownSignal returns the signal to which Linux gives a number.
func ownSignal(number int) syscall.Signal {
	for s, n := range linuxNumbers {
		if n == number {
			return s
		}
	}
	return syscall.Signal(number)
}

// dieWithGoTool ends this process when `go tool` ends: a killed `go tool` cannot pass the signal on. No call has the
// kernel do that here.
func dieWithGoTool() error {
	parent := os.Getppid()
	if parent == 1 {
		return errors.New("the parent has ended")
	}
	go func() {
		for os.Getppid() == parent {
			time.Sleep(time.Second)
		}
		os.Exit(1)
	}()
	return nil
}
