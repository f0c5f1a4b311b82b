package recorder

import (
	"bytes"
	"encoding/json"
	"path"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

// engineCommands are programs that ask an engine to start containers, and to run commands in them.
var engineCommands = []string{"docker", "docker-compose", "podman", "nerdctl"}

// How likely it is that a command line has an engine start a container. More than possible: how many things it says of it.
const (
	impossible = -1
	possible   = 0
	named      = 100 // it names the container itself
)

// harmless are the words of engineCommands that start no container, and run nothing in one.
var harmless = []string{
	"attach", "commit", "cp", "diff", "events", "export", "history", "images", "import", "info", "inspect", "kill", "load", "login", "logout",
	"logs", "pause", "port", "ps", "pull", "push", "rename", "rm", "rmi", "save", "search", "stats", "stop", "tag", "top", "unpause", "update",
	"version", "wait",
}

// verbs are all words by which says tells what an engine's command does.
var verbs = append([]string{"run", "create", "start", "restart", "exec", "compose", "build"}, harmless...)

// likelihood returns how likely it is that a client has an engine start a container; or, where it is about a command in a container that
// runs, that it is by this client.
func likelihood(client engineClient, c docker.Container, command bool) int {
	words := strings.Fields(strings.NewReplacer("'", " ", `"`, " ", "=", " ").Replace(client.command))
	const whole = 4000 // of a longer one something may be missing
	if len(words) == 0 || !slices.Contains(engineCommands, path.Base(words[0])) || client.cut || len(client.command) > whole {
		return max(possible, mentions(words, c))
	}
	verb := "compose"
	rest := words[1:]
	if path.Base(words[0]) != "docker-compose" {
		at := slices.IndexFunc(rest, func(word string) bool { return slices.Contains(verbs, word) })
		if at < 0 {
			return possible
		}
		verb, rest = rest[at], rest[at+1:]
	}
	n := impossible
	switch {
	case slices.Contains(harmless, verb):
	case c.Name == "": // nothing is known of it
		n = possible
	case verb == "compose":
		n = likelihoodCompose(rest, c, command)
	case verb == "exec":
		if command && namesContainer(rest, c) {
			n = named
		}
	case command:
	case verb == "start", verb == "restart":
		if namesContainer(rest, c) {
			n = named
		}
	case verb == "run":
		if n = mentions(words, c); n == 0 || !setsLabels(words, c) {
			n = impossible
		}
	case verb == "build":
		if isImageID(c.Image) {
			n = possible
		}
	}
	return n
}

// likelihoodCompose is says for the arguments of compose.
func likelihoodCompose(words []string, c docker.Container, command bool) int {
	project := c.Labels[labelProject]
	if project == "" || command && !slices.ContainsFunc(words, func(word string) bool { return word == "exec" || word == "up" || word == "run" || word == "start" }) {
		return impossible // the latter run hooks
	}
	if slices.Contains(words, project) {
		return named
	}
	if slices.Contains(words, "--project-name") || slices.Contains(words, "-p") {
		return impossible // another one
	}
	return possible
}

// setsLabels reports whether the words of docker run give a container those labels that only others give of themselves.
func setsLabels(words []string, c docker.Container) bool {
	for _, label := range []string{labelProject, labelTestcontainers} {
		if c.Labels[label] != "" && !slices.Contains(words, label) {
			return false
		}
	}
	return true
}

// mentions returns how many things a command line says of a container: its image, and then its name, its network and the words of
// its command; 0 where it does not name the image.
func mentions(words []string, c docker.Container) int {
	if c.Image == "" || !slices.Contains(words, c.Image) {
		return 0
	}
	n := 1
	for _, thing := range append(strings.Fields(c.Command), c.Name, c.NetworkMode) {
		if thing != "" && slices.Contains(words, thing) {
			n++
		}
	}
	return n
}

// namesContainer reports whether one of some words names a container: it is its name, its ID, or the begin of that.
func namesContainer(words []string, c docker.Container) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		return word == c.Name || strings.HasPrefix(c.ID, word)
	})
}

// engineCalls are calls of an engine that goroutines of this process are in the middle of.
type engineCalls struct {
	some           bool // it may be any call: it is in the middle of an HTTP request, or reads from a connection
	client         bool // a client of an engine makes it, and not just anybody an HTTP request
	testcontainers bool // testcontainers makes it
}

// idle are calls in stacks of goroutines that ask an engine for nothing, or for what package docker wants to know: they keep a connection
// open for the next request, serve one, or follow a container.
var idle = []string{
	"github.com/netzero-dev/netzero/internal/docker.",
	"net/http.(*persistConn).readLoop", "net/http.(*persistConn).writeLoop", "net/http.(*conn).", "net/http.(*connReader).",
	"github.com/testcontainers/testcontainers-go.(*Reaper).",
	"github.com/testcontainers/testcontainers-go.(*DockerContainer).logProducer",
	"github.com/testcontainers/testcontainers-go.(*DockerContainer).copyLogs",
}

// callsOfEngine looks for them in the stacks of all goroutines, by the label of the recording to which those belong; "" where that is none.
func callsOfEngine() map[string]engineCalls {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return map[string]engineCalls{"": {some: true, client: true, testcontainers: true}} // cannot fail for a buffer
	}
	of := make(map[string]engineCalls)
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		has := func(call string) bool { return strings.Contains(stack, "\t"+call) }
		if slices.ContainsFunc(idle, has) || strings.Contains(stack, "/client.(*Client).Events") {
			continue
		}
		calls := engineCalls{testcontainers: has("github.com/testcontainers/testcontainers-go")}
		calls.client = calls.testcontainers || strings.Contains(stack, "/client.(*hijackedConn).") || strings.Contains(stack, "/client.(*Client).")
		calls.some = calls.client || has("net/http.(*persistConn).roundTrip") || has("net/http.(*Transport).roundTrip")
		if !calls.some {
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
		calls.testcontainers = calls.testcontainers || of[label].testcontainers
		calls.client = calls.client || of[label].client
		of[label] = calls
	}
	return of
}

// callsByClients returns those of some calls that a client of an engine makes for certain: others may be HTTP requests to anybody.
func callsByClients(calls map[string]engineCalls) map[string]engineCalls {
	of := make(map[string]engineCalls)
	for label, made := range calls {
		if made.client {
			of[label] = made
		}
	}
	return of
}
