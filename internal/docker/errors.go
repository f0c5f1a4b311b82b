package docker

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNoEngine says that nothing answers where a Docker engine is looked for. The error around it says where that was.
	ErrNoEngine = errors.New("no Docker engine answers")

	// ErrEventsLost says that containers may have come and gone unseen. The error around it says why.
	ErrEventsLost = errors.New("events of the Docker engine are lost")

	errTimeUp = errors.New("time is up")
	errClosed = errors.New("the watch was closed")
)

// UnsupportedError is an engine that answers, but not as this package needs it.
type UnsupportedError struct {
	Engine string // what it says it is, such as "Podman Engine 5.2.1"
	Needs  string // what to use instead
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s is not supported: %s", e.Engine, e.Needs)
}

// StalledError is an engine that took a question and did not answer it in time.
type StalledError struct {
	Host     string
	Question string
	After    time.Duration
}

func (e *StalledError) Error() string {
	return fmt.Sprintf("the Docker engine at %s does not answer: %s took longer than %v; see whether `docker ps` answers, and restart the engine if not",
		e.Host, e.Question, e.After)
}
