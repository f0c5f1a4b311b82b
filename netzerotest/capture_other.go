//go:build !linux

package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/session"
)

// membership is a recording's part in a capture, of which there is none on this system.
type membership struct{}

func join(r *Recording) (*membership, error) {
	_, err := session.Open(r.env.sizes, nil, nil, nil)
	return nil, err
}

func unrecorded(do func()) { do() }

func (*membership) settle() (recording.Recording, error) { return recording.Recording{}, nil }
func (*membership) check() error                         { return nil }
func (*membership) release() error                       { return nil }
func (*membership) leave() error                         { return nil }
func (*membership) expect()                              {}
func (*membership) label() string                        { return "" }
func (*membership) claim(string, string)                 {}
func (*membership) claimPeer(string, string)             {}
func (*membership) claimedAs(string) string              { return "" }
func (*membership) adopt(string)                         {}
func (*membership) starting(string)                      {}
func (*membership) hosts(string, int) bool               { return false }
func (*membership) isElsewhere(string)                   {}
func (*membership) ready(string)                         {}
func (*membership) enter(string) func()                  { return func() {} }
func (*membership) leftovers() []leftover                { return nil }

func isRecordedChild() bool { return false }
