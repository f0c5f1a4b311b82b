package docker

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNoEngine means that no Docker engine responds. The error around it says at which address.
	ErrNoEngine = errors.New("no Docker engine responds")

	// ErrEventsLost means that containers may have come and gone unseen. The error around it says why.
	ErrEventsLost = errors.New("events of the Docker engine are lost")

	errTimeUp = errors.New("the time limit is exceeded")
	errClosed = errors.New("the watch was closed")
)

// UnsupportedError means that an engine answers but lacks a requirement of this package.
type UnsupportedError struct {
	Engine string // its own description, such as "Podman Engine 5.2.1"
	Needs  string // the alternative
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s is not supported: %s", e.Engine, e.Needs)
}

// StalledError means that an engine accepted a query and did not answer it in time.
type StalledError struct {
	Host     string
	Question string
	After    time.Duration
}

func (e *StalledError) Error() string {
	return fmt.Sprintf("the Docker engine at %s does not answer: %s took longer than %v; see whether `docker ps` "+
		"answers, and restart the engine if not",
		e.Host, e.Question, e.After)
}
