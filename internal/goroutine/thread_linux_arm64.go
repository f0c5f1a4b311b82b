package goroutine

// getg returns the address of the running goroutine's g.
func getg() uint64

const inRegister = true

// threadPointer returns 0: g is in register R28.
func threadPointer() (uint64, error) { return 0, nil }
