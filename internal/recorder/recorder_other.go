//go:build !linux

package recorder

import (
	"context"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/session"
)

// Recording cannot exist on this system: [Join] always fails.
type Recording struct{}

func Join(sizes probe.Sizes, _ Options) (*Recording, error) {
	_, err := session.Open(sizes, probe.Handler{}, nil)
	return nil, err
}

func Unrecorded(do func())  { do() }
func IsRecordedChild() bool { return false }

func (*Recording) ID() goroutine.ID                      { return 0 }
func (*Recording) Resolve() (recording.Recording, error) { return recording.Recording{}, nil }
func (*Recording) Check() error                          { return nil }
func (*Recording) Unmark() error                         { return nil }
func (*Recording) Close() error                          { return nil }
func (*Recording) Leftovers() []Ended                    { return nil }
func (*Recording) EnterTest(string) func()               { return func() {} }

func (*Recording) Customize(*testcontainers.GenericContainerRequest, Role) error { return nil }
func (*Recording) Adopt(context.Context, testcontainers.Container, string) error { return nil }
