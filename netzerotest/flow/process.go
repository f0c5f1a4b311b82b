package flow

import "slices"

// Process is the process that opened a flow. It is the zero value if the kernel did not report the process. Processes
// are not comparable with ==; use [Process.Equal].
type Process struct {
	PID     int    // as the recording process sees it; 0 if unknown
	Name    string // the executable's file name, or else the kernel's thread name (at most 15 bytes)
	Command string // the command line, arguments separated by spaces; empty if the process had ended

	Executable string // the executable's path; empty if the process had ended
	// Parents are the processes from which it descends, nearest first: "sh (pid 12)". The last one is the recording
	// process, or in a container the container's first process. The list is empty for these two.
	Parents []string

	Container string // the name of the container in which it ran; empty outside of containers
	Image     string // the image of that container; empty outside of containers
	// Exec is the command that the container engine started inside the container (docker exec, a health check) and from
	// which the process descends, arguments separated by spaces. It is empty for all other processes, or if unknown.
	Exec string

	// Stack is the stack of the goroutine that opened the flow, innermost call first. Only goroutines of the recording
	// process have one; it is empty for all others, or if unknown.
	Stack []Frame

	// Test is the name of the test that opened the flow, or "TestMain". If neither is known, it says in parentheses why.
	// Only a recording of a whole package sets it, and never for a process in a container.
	Test string
}

// Equal reports whether all fields of p and q are equal. A nil slice equals an empty one.
func (p Process) Equal(q Process) bool {
	return p.PID == q.PID && p.Name == q.Name && p.Command == q.Command && p.Executable == q.Executable &&
		slices.Equal(p.Parents, q.Parents) && p.Container == q.Container && p.Image == q.Image && p.Exec == q.Exec &&
		slices.Equal(p.Stack, q.Stack) && p.Test == q.Test
}
