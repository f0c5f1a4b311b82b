package netzerotest

import (
	"fmt"
	"testing"

	"github.com/netzero-dev/netzero/internal/session"
)

// cannotRecord says in one line why recording is impossible and what to do.
func cannotRecord(tb testing.TB, err error) string {
	text := fmt.Sprintf("cannot record: %v", err)
	if advice := session.Advice(err, goTest(tb, execSudo)); advice != "" {
		text += "; " + advice
	}
	return text
}
