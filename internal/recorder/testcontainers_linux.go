package recorder

import (
	"context"
	"sync"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/netzero-dev/netzero/internal/goroutine"
)

// createdContainers maps the IDs of containers that testcontainers-go created in this process, also before the first
// recording, to the recording of the goroutine that created them, or 0. Labels are not enough, because tests of several
// packages share a session.
var createdContainers sync.Map

// init adds hooks to those that testcontainers-go calls for every container. DefaultLoggingHook is the only variable
// that it reads them from.
func init() {
	loggingHook := testcontainers.DefaultLoggingHook
	testcontainers.DefaultLoggingHook = func(logger log.Logger) testcontainers.ContainerLifecycleHooks {
		hooks := loggingHook(logger)
		hooks.PostCreates = append(hooks.PostCreates, func(_ context.Context, c testcontainers.Container) error {
			createdContainers.Store(c.GetContainerID(), goroutine.Marked())
			return nil
		})
		hooks.PostStarts = append(hooks.PostStarts, func(_ context.Context, c testcontainers.Container) error {
			recordWait(c.GetContainerID(), true)
			return nil
		})
		hooks.PostReadies = append(hooks.PostReadies, func(_ context.Context, c testcontainers.Container) error {
			recordWait(c.GetContainerID(), false)
			return nil
		})
		return hooks
	}
}

// createdHere reports whether testcontainers-go created a container in this process, and for which recording, if that
// is known.
func createdHere(id string) (recording goroutine.ID, created bool) {
	value, created := createdContainers.Load(id)
	if created {
		recording = value.(goroutine.ID)
	}
	return recording, created
}
