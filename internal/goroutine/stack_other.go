//go:build !linux

package goroutine

// Stack is the call stack of a system call. Only Linux has programs that read it.
type Stack struct{}
