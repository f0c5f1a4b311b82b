package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"github.com/netzero-dev/netzero/internal/doctor"
	"github.com/netzero-dev/netzero/internal/launch"
)

var doctorCommand = subcommand{
	name:    "doctor",
	summary: "Records a connection, and prints what can be recorded here, by which way, and what is missing.",
	help: `It takes the way that "netzero exec" takes, and performs the same steps as a test.
Exit status: 0 if tests are recorded here, 1 if not, 2 for wrong arguments.`,
	run: runDoctor,
}

func runDoctor(c *call) int {
	asJSON := c.flags.Bool("json", false, "print the diagnosis as JSON")
	here := c.flags.Bool("here", false, "diagnose this process only, without another way")
	if status, ok := c.parse(); !ok {
		return status
	}
	if c.flags.NArg() > 0 {
		return c.fail(statusUsage, fmt.Errorf("unexpected argument %q", c.flags.Arg(0)))
	}
	d := diagnose(context.Background(), *here, c)
	write := d.WriteText
	if *asJSON {
		write = d.WriteJSON
	}
	if err := write(c.stdout); err != nil {
		return c.fail(statusUsage, fmt.Errorf("write diagnosis: %w", err))
	}
	if !d.Records {
		return statusFailed
	}
	return statusOK
}

// diagnose diagnoses the way that netzero exec takes. If no way works, or the way leads to no diagnosis, it diagnoses
// this process.
func diagnose(ctx context.Context, here bool, c *call) doctor.Diagnosis {
	if here {
		return doctor.Diagnose()
	}
	found := launch.Find(ctx)
	var d doctor.Diagnosis
	if found.Way == "" || found.Way == launch.Direct {
		d = doctor.Diagnose()
	} else if err := diagnoseBy(ctx, found.Way, &d, c); err != nil {
		found.Obstacles = append(found.Obstacles, launch.Obstacle{Way: found.Way, Reason: err})
		found.Way = ""
		d = doctor.Diagnose()
	}
	d.Way = string(found.Way)
	for _, o := range found.Obstacles {
		d.Obstacles = append(d.Obstacles, doctor.Obstacle{Way: string(o.Way), Reason: o.Reason.Error()})
	}
	return d
}

// diagnoseBy runs this command by a way and reads its diagnosis.
func diagnoseBy(ctx context.Context, way launch.Way, d *doctor.Diagnosis, c *call) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, execCommand.name, "-by", string(way), program, c.name, "-here", "-json")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, &out, c.stderr
	runErr := cmd.Run()
	if err := json.Unmarshal(out.Bytes(), d); err != nil {
		if runErr != nil {
			return runErr
		}
		return fmt.Errorf("read diagnosis: %w", err)
	}
	return nil
}
