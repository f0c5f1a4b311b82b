package editor

import "fmt"

func neovimSettings(exec Exec) string {
	return fmt.Sprintf(`neotest-golang, in its options:

    env = { GOFLAGS = %[1]q },

vim-test:

    vim.g["test#go#gotest#options"] = "-exec %[2]s"

any other plugin, in init.lua or the project's .nvim.lua:

    vim.env.GOFLAGS = %[1]q

Tests that run under a debugger are not recorded.
`, exec.Flags(), "'"+string(exec)+"'")
}
