package command

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/netzero-dev/netzero/internal/page/graphlayout"
	"github.com/netzero-dev/netzero/internal/serve"
)

// serveReport serves the results of the recordings that the arguments name, until the process is interrupted. Format
// and out are the values of flags that do not go with it.
func (c *call) serveReport(address, format, out, dir string) int {
	paths := c.flags.Args()
	switch {
	case out != "":
		return c.refuse(statusUsage, fmt.Errorf("-serve writes no file: leave out -o, or -serve to write %s", out))
	case format != "":
		return c.refuse(statusUsage, errors.New("-serve serves the page, JSON and metrics at once: leave out -format"))
	case len(paths) == 0:
		return c.refuse(statusUsage, errors.New("no recordings: name files or directories"))
	}
	for _, path := range paths {
		if err := checkServed(path); err != nil {
			return c.refuse(statusUsage, err)
		}
	}
	listener, err := serve.Listen(address)
	if err != nil {
		return c.refuse(statusUsage, fmt.Errorf("serve: %w", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	w := newWatcher(paths, dir, func(line string) { c.note("%s", line) })
	w.results()
	if serve.IsExposed(listener) {
		c.note("other machines may reach %s, and it has no password", listener.Addr())
	}
	fmt.Fprintln(c.stdout, serve.URL(listener))
	errorLog := log.New(c.stderr, "netzero "+c.name+": ", 0)
	if err := serve.Serve(ctx, listener, address, serve.Handler(w.results, graphlayout.Layered), errorLog); err != nil {
		return c.refuse(statusUsage, fmt.Errorf("serve: %w", err))
	}
	return statusOK
}

// checkServed returns an error if a path is neither a file that can be read again nor a directory.
func checkServed(path string) error {
	if path == stdin {
		return errors.New("-serve reads recordings again when they change, and cannot do so with standard input: name " +
			"files or directories")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: create the directory first, because tests do not create it", err)
	case err != nil:
		return err
	case !info.IsDir() && !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file nor a directory, so -serve cannot read it again", path)
	}
	return nil
}
