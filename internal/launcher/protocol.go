package launcher

// Messages between a client and a launcher in a container are JSON, one in a line. If the client's end is closed, the
// launcher kills the command.
type (
	// ToLauncher is a message of the client. Only a launcher with mounts gets the messages but the signals.
	ToLauncher struct {
		Start  *Start `json:"start,omitempty"`  // the first message
		Signal int    `json:"signal,omitempty"` // to send to the command, by Linux's number
		Input  []byte `json:"input,omitempty"`  // the next part of the standard input
		EOF    bool   `json:"eof,omitempty"`    // the end of the standard input
	}
	// ToClient is a message of the launcher: the last one when the command has ended, or why it has not started. A
	// launcher that joins the client sends an empty one when the command has started; one with mounts sends output.
	ToClient struct {
		Ended  bool   `json:"ended"`
		Status int    `json:"status"`           // the exit status
		Signal int    `json:"signal,omitempty"` // that ended the command, by Linux's number; 0 for none
		Error  string `json:"error,omitempty"`  // why there was no command

		OtherKernel bool   `json:"other_kernel,omitempty"` // why the launcher cannot join the client
		File        int    `json:"file,omitempty"`         // 1 or 2, for output
		Output      []byte `json:"output,omitempty"`       // of the command, with mounts
		Taken       bool   `json:"taken,omitempty"`        // the command took the last part of its input
	}
)

// Start is a command that a launcher runs for a client of which it sees the files alone, at their own paths, because
// they are mounted into its container.
type Start struct {
	Command []string `json:"command"` // the path of the program and its arguments
	Env     []string `json:"env"`
	Dir     string   `json:"dir"`
	UID     int      `json:"uid"`
	GID     int      `json:"gid"`
	Groups  []int    `json:"groups"`
	Umask   int      `json:"umask"`

	OneOutput bool     `json:"one_output"` // standard output and standard error are the same file
	Socket    string   `json:"socket"`     // the engine's; the command may connect to it
	Own       []string `json:"own"`        // directories that the command's user gets, unless they are mounted
}

// MountedCommand is the first argument of a launcher that expects a [Start] on its standard input, and writes each
// [ToClient] to its standard output.
const MountedCommand = "mounted"
