package recorder

import (
	"context"
	"sync"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/netzero-dev/netzero/internal/goroutine"
)

// createdContainers maps the IDs of the containers that testcontainers-go has created in this process, also before the first recording, to the recording
// whose goroutine did that, or 0. Their labels say less: tests of several packages share a session.
var createdContainers sync.Map

// init adds a hook to those that testcontainers-go has for every container. This is the only variable from which it takes them.
func init() {
	of := testcontainers.DefaultLoggingHook
	testcontainers.DefaultLoggingHook = func(logger log.Logger) testcontainers.ContainerLifecycleHooks {
		hooks := of(logger)
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

// createdHere reports whether testcontainers-go has created a container in this process, and for which recording, if it is known.
func createdHere(id string) (of goroutine.ID, is bool) {
	value, is := createdContainers.Load(id)
	if is {
		of = value.(goroutine.ID)
	}
	return of, is
}
