package command

import (
	"errors"
)

var setupCommand = subcommand{
	name:    "setup",
	summary: "Lets you record without root: installs a helper, or prints the settings of an editor.",
	help: `Without flags it asks for root once, by sudo. It makes the group netzero, adds you to it, and
installs a small helper with file capabilities that only the group may run. A member of this
group can read and change everything on the machine: see SECURITY.md.`,
	run: runSetup,
}

func runSetup(c *call) int {
	remove := c.flags.Bool("remove", false,
		"remove the helper, the group, this user's cache of helpers and the images made of helpers")
	editorName := c.flags.String("editor", "", "print the settings with which this `editor` records: "+editorNames())
	write := c.flags.Bool("write", false, "with -editor, write the settings into the project in the current directory")
	if status, ok := c.parse(); !ok {
		return status
	}
	switch {
	case c.flags.NArg() > 0:
		return c.fail(statusUsage, errors.New("it has no arguments, only flags"))
	case *editorName != "" && *remove:
		return c.fail(statusUsage, errors.New("-editor and -remove cannot be combined"))
	case *editorName != "":
		return c.setUpEditor(*editorName, *write)
	case *write:
		return c.fail(statusUsage, errors.New("-write needs -editor"))
	case *remove:
		return c.removeSetup()
	}
	return c.setUp()
}
