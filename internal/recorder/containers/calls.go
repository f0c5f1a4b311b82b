package containers

import (
	"bytes"
	"encoding/json"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/goroutine"
)

// idle are the calls that show that a goroutine starts no container: it keeps a connection open for the next request,
// serves one, follows a container, or belongs to package docker.
var idle = []string{
	"github.com/netzero-dev/netzero/internal/docker.",
	"net/http.(*persistConn).readLoop", "net/http.(*persistConn).writeLoop",
	"net/http.(*conn).", "net/http.(*connReader).",
	"github.com/testcontainers/testcontainers-go.(*Reaper).",
	"github.com/testcontainers/testcontainers-go.(*DockerContainer).logProducer",
	"github.com/testcontainers/testcontainers-go.(*DockerContainer).copyLogs",
}

// Calls are the calls that goroutines with one label make at a moment.
type Calls struct {
	ByClient           bool // a client of an engine makes one; otherwise they may be HTTP requests to any server
	OnlyTestcontainers bool // testcontainers-go makes all of them
}

// CallsOfEngine finds goroutines of this process that may wait for an answer of an engine, by their stacks. The keys
// are the goroutine labels of recordings, or "".
func CallsOfEngine() map[string]Calls {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return map[string]Calls{"": {ByClient: true}} // cannot fail for a buffer
	}
	byLabel := make(map[string]Calls)
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		has := func(call string) bool { return strings.Contains(stack, "\t"+call) }
		if slices.ContainsFunc(idle, has) || strings.Contains(stack, "/client.(*Client).Events") {
			continue
		}
		byTestcontainers := has("github.com/testcontainers/testcontainers-go")
		byClient := byTestcontainers ||
			strings.Contains(stack, "/client.(*hijackedConn).") || strings.Contains(stack, "/client.(*Client).")
		if !byClient && !has("net/http.(*persistConn).roundTrip") && !has("net/http.(*Transport).roundTrip") {
			continue
		}
		label := ""
		if _, labels, found := strings.Cut(stack, "\n# labels: "); found {
			labels, _, _ = strings.Cut(labels, "\n")
			var all map[string]string
			if err := json.Unmarshal([]byte(labels), &all); err == nil {
				label = all[goroutine.Key]
			}
		}
		before, known := byLabel[label]
		byLabel[label] = Calls{
			ByClient:           before.ByClient || byClient,
			OnlyTestcontainers: byTestcontainers && (!known || before.OnlyTestcontainers),
		}
	}
	return byLabel
}
