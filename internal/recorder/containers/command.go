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
	words := splitWords(client.Command)
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
	case verb == "exec" && command:
		of := arguments(client.Command, verb)
		n = likelihoodNamed(of[:min(1, len(of))], c) // the rest is the command
	case verb == "exec", command:
	case verb == "start", verb == "restart":
		n = likelihoodNamed(arguments(client.Command, verb), c)
	case verb == "run":
		if n = mentions(words, c); n == 0 || !setsLabels(words, c) || !runsCommand(words, c) {
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

// runsCommand reports whether the words after the image in the arguments of docker run are the container's command, or
// there are none.
func runsCommand(words []string, c docker.Container) bool {
	command := splitWords(c.Command)
	for i, word := range words {
		after := words[i+1:]
		if word == c.Image && len(after) <= len(command) && slices.Equal(after, command[len(command)-len(after):]) {
			return true
		}
	}
	return false
}

// splitWords returns the words of a command line, with the value of a flag as a word of its own.
func splitWords(line string) []string {
	return strings.Fields(strings.NewReplacer("'", " ", `"`, " ", "=", " ").Replace(line))
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

// likelihoodNamed is likelihood for the arguments of a subcommand that names containers: by name, by ID, or by a prefix
// of the ID.
func likelihoodNamed(arguments []string, c docker.Container) int {
	switch {
	case len(arguments) == 0: // podman start --latest
		return possible
	case slices.ContainsFunc(arguments, func(word string) bool { return word == c.Name || strings.HasPrefix(c.ID, word) }):
		return named
	}
	return impossible
}

// valueFlags are the flags of exec, start and restart that are followed by a value, without their dashes. A value is no
// name of a container: that of restart --time 0 is a prefix of one container ID in sixteen.
var valueFlags = map[string][]string{
	"exec":    {"detach-keys", "e", "env", "env-file", "u", "user", "w", "workdir"},
	"start":   {"checkpoint", "checkpoint-dir", "detach-keys"},
	"restart": {"s", "signal", "t", "time", "timeout"},
}

// arguments returns the arguments of a subcommand in a command line, without flags and their values.
func arguments(line, verb string) (arguments []string) {
	words := strings.Fields(line)
	words = words[slices.Index(words, verb)+1:]
	for i := 0; i < len(words); i++ {
		name, isFlag := strings.CutPrefix(words[i], "-")
		if !isFlag {
			arguments = append(arguments, words[i])
			continue
		}
		if long, isLong := strings.CutPrefix(name, "-"); isLong {
			if slices.Contains(valueFlags[verb], long) {
				i++
			}
			continue
		}
		for at := range name { // -it stands for -i -t
			if slices.Contains(valueFlags[verb], name[at:at+1]) {
				if at == len(name)-1 {
					i++
				}
				break
			}
		}
	}
	return arguments
}
