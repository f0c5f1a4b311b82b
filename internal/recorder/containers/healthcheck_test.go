package containers

import (
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestOpensHealthCheck(t *testing.T) {
	const check = `/bin/sh -c "curl -f http://orders/"`
	checked := docker.Container{HealthCheck: check, Command: "/usr/bin/server --port 80"}
	withOther := checked
	withOther.Execs = map[string]time.Duration{check: 1, "sh -c curl http://other": 1}
	for _, row := range []struct {
		reason    string
		container docker.Container
		process   flow.Process
		want      bool
	}{
		{"no health check", docker.Container{}, flow.Process{Exec: check}, false},
		{"the command itself", checked, flow.Process{Name: "sh", Exec: check}, true},
		{
			"a program that its shell executed",
			checked, flow.Process{Name: "curl", Exec: "curl -f http://orders/"}, true,
		},
		{"another command", checked, flow.Process{Name: "wget", Exec: "wget http://orders/"}, false},
		{"a process that had ended", checked, flow.Process{Name: "curl"}, true},
		{"a process that had ended, of another program", checked, flow.Process{Name: "wget"}, false},
		{
			"the container's own program",
			checked, flow.Process{Name: "server", Command: "/usr/bin/server --port 80"}, false,
		},
		{
			"another command with the same program",
			withOther, flow.Process{Name: "curl", Exec: "curl http://other"}, false,
		},
	} {
		if got := OpensHealthCheck(row.container, row.process); got != row.want {
			t.Errorf("%s: %t", row.reason, got)
		}
	}
}
