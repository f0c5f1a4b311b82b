package containers

import (
	"path"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
)

// engineCommands are the programs that ask an engine to start containers and to run commands in them.
var engineCommands = []string{"docker", "docker-compose", "podman", "nerdctl"}

// IsEngineCommand reports whether a program asks an engine to start containers and to run commands in them.
func IsEngineCommand(program string) bool { return slices.Contains(engineCommands, program) }

// How likely a command line is to start a container. Values above possible count the properties of the container that
// it mentions.
const (
	impossible = -1
	possible   = 0
	named      = 100 // the command line names the container itself
)

// harmless are the subcommands of engineCommands that neither start a container nor run a command in one.
var harmless = []string{
	"attach", "commit", "cp", "diff", "events", "export", "history", "images", "import", "info", "inspect", "kill",
	"load", "login", "logout", "logs", "pause", "port", "ps", "pull", "push", "rename", "rm", "rmi", "save", "search",
	"stats", "stop", "tag", "top", "unpause", "update", "version", "wait",
}

// verbs are all subcommands that likelihood recognises.
var verbs = append([]string{"run", "create", "start", "restart", "exec", "compose", "build"}, harmless...)

// likelihood returns how likely a client is to have started a container. If command is set, it is about a command in a
// running container instead.
func likelihood(client Client, c docker.Container, command bool) int {
	words := strings.Fields(strings.NewReplacer("'", " ", `"`, " ", "=", " ").Replace(client.Command))
	const whole = 4000 // a longer line may be truncated
	if len(words) == 0 || !IsEngineCommand(path.Base(words[0])) || client.Cut || len(client.Command) > whole {
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
		if IsImageID(c.Image) {
			n = possible
		}
	}
	return n
}

// likelihoodCompose is likelihood for the arguments of compose.
func likelihoodCompose(words []string, c docker.Container, command bool) int {
	project := c.Labels[LabelProject]
	runs := func(word string) bool { // up, run and start may run hooks
		return word == "exec" || word == "up" || word == "run" || word == "start"
	}
	if project == "" || command && !slices.ContainsFunc(words, runs) {
		return impossible
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
	for _, label := range []string{LabelProject, LabelTestcontainers} {
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
