//go:build !linux

package goroutine

// Stack is from where a goroutine asked for something, which nothing reads here.
type Stack struct{}
