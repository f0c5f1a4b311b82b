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

// engineCommands are the programs that ask an engine to start containers and to run commands in them.
var engineCommands = []string{"docker", "docker-compose", "podman", "nerdctl"}

// How likely a command line is to start a container. Values above possible count the properties of the container that
// it mentions.
const (
	impossible = -1
	possible   = 0
	named      = 100 // the command line names the container itself
)

// harmless are the subcommands of engineCommands that neither start a container nor run a command in one.
var harmless = []string{
	"attach", "commit", "cp", "diff", "events", "export", "history", "images", "import", "info", "inspect", "kill", "load", "login", "logout",
	"logs", "pause", "port", "ps", "pull", "push", "rename", "rm", "rmi", "save", "search", "stats", "stop", "tag", "top", "unpause", "update",
	"version", "wait",
}

// verbs are all subcommands that likelihood recognises.
var verbs = append([]string{"run", "create", "start", "restart", "exec", "compose", "build"}, harmless...)

// likelihood returns how likely a client is to have started a container. If command is set, it is about a command in a
// running container instead.
func likelihood(client engineClient, c docker.Container, command bool) int {
	words := strings.Fields(strings.NewReplacer("'", " ", `"`, " ", "=", " ").Replace(client.command))
	const whole = 4000 // a longer line may be truncated
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
	case c.Name == "": // the container is unknown
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

// likelihoodCompose is likelihood for the arguments of compose.
func likelihoodCompose(words []string, c docker.Container, command bool) int {
	project := c.Labels[labelProject]
	if project == "" || command && !slices.ContainsFunc(words, func(word string) bool { return word == "exec" || word == "up" || word == "run" || word == "start" }) {
		return impossible // up, run and start may run hooks
	}
	if slices.Contains(words, project) {
		return named
	}
	if slices.Contains(words, "--project-name") || slices.Contains(words, "-p") {
		return impossible // another project
	}
	return possible
}

// setsLabels reports whether docker run sets the labels that otherwise only compose and testcontainers set.
func setsLabels(words []string, c docker.Container) bool {
	for _, label := range []string{labelProject, labelTestcontainers} {
		if c.Labels[label] != "" && !slices.Contains(words, label) {
			return false
		}
	}
	return true
}

// mentions returns how many properties of a container a command line mentions: its image, name, network, and the words
// of its command. It returns 0 if the line does not mention the image.
func mentions(words []string, c docker.Container) int {
	if c.Image == "" || !slices.Contains(words, c.Image) {
		return 0
	}
	n := 1
	for _, property := range append(strings.Fields(c.Command), c.Name, c.NetworkMode) {
		if property != "" && slices.Contains(words, property) {
			n++
		}
	}
	return n
}

// namesContainer reports whether one of the words is the container's name, its ID, or a prefix of its ID.
func namesContainer(words []string, c docker.Container) bool {
	return slices.ContainsFunc(words, func(word string) bool {
		return word == c.Name || strings.HasPrefix(c.ID, word)
	})
}

// engineCalls are the calls of an engine that goroutines of this process are waiting for.
type engineCalls struct {
	possible       bool // it may be a call of an engine: an HTTP request, or a read from a connection
	client         bool // a client of an engine makes the call, not an unknown HTTP client
	testcontainers bool // testcontainers makes the call
}

// idle are the calls that show that a goroutine starts no container: it keeps a connection open for the next request,
// serves one, follows a container, or belongs to package docker.
var idle = []string{
	"github.com/netzero-dev/netzero/internal/docker.",
	"net/http.(*persistConn).readLoop", "net/http.(*persistConn).writeLoop", "net/http.(*conn).", "net/http.(*connReader).",
	"github.com/testcontainers/testcontainers-go.(*Reaper).",
	"github.com/testcontainers/testcontainers-go.(*DockerContainer).logProducer",
	"github.com/testcontainers/testcontainers-go.(*DockerContainer).copyLogs",
}

// callsOfEngine finds calls of an engine in the stacks of all goroutines, by the goroutine label of the recording, or
// "".
func callsOfEngine() map[string]engineCalls {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return map[string]engineCalls{"": {possible: true, client: true, testcontainers: true}} // cannot fail for a buffer
	}
	byLabel := make(map[string]engineCalls)
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		has := func(call string) bool { return strings.Contains(stack, "\t"+call) }
		if slices.ContainsFunc(idle, has) || strings.Contains(stack, "/client.(*Client).Events") {
			continue
		}
		calls := engineCalls{testcontainers: has("github.com/testcontainers/testcontainers-go")}
		calls.client = calls.testcontainers || strings.Contains(stack, "/client.(*hijackedConn).") || strings.Contains(stack, "/client.(*Client).")
		calls.possible = calls.client || has("net/http.(*persistConn).roundTrip") || has("net/http.(*Transport).roundTrip")
		if !calls.possible {
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
		calls.testcontainers = calls.testcontainers || byLabel[label].testcontainers
		calls.client = calls.client || byLabel[label].client
		byLabel[label] = calls
	}
	return byLabel
}

// callsByClients returns the calls that certainly come from a client of an engine. Others may be HTTP requests to any
// server.
func callsByClients(calls map[string]engineCalls) map[string]engineCalls {
	byLabel := make(map[string]engineCalls)
	for label, made := range calls {
		if made.client {
			byLabel[label] = made
		}
	}
	return byLabel
}
