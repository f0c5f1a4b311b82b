package command

import (
	"context"
	"fmt"
	"io"

	"github.com/netzero-dev/netzero/internal/launch"
	"github.com/netzero-dev/netzero/internal/usercache"
)

// removeOwn removes what this user has because of recordings: the images made of helpers, and the cache of helpers. It
// reports whether that succeeded.
func removeOwn(stdout, stderr io.Writer) bool {
	images, err := launch.RemoveImages(context.Background())
	for _, name := range images {
		fmt.Fprintf(stdout, "removed image %s\n", name)
	}
	ok := err == nil
	if err != nil {
		fmt.Fprintf(stderr, "netzero setup: %v\n", err)
	}
	cache, err := usercache.Remove()
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "netzero setup: %v\n", err)
		return false
	case cache != "":
		fmt.Fprintf(stdout, "removed %s\n", cache)
	}
	return ok
}
