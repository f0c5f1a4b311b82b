package command

import (
	"github.com/netzero-dev/netzero/internal/launch"
	"github.com/netzero-dev/netzero/internal/launcher"
)

func init() {
	subcommands = append(subcommands, subcommand{
		name:   launch.LaunchCommand,
		hidden: true, // sudo runs it
		run:    func(c *call) int { return launcher.Launcher{launch.LaunchCommand}.Main(c.arguments) },
	})
}
