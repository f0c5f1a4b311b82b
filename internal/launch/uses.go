package launch

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// marker is the name of a function in the symbols of every binary that can record. The linker leaves it out of others.
var marker = []byte("github.com/netzero-dev/netzero/internal/recorder.Join")

// CanRecord reports whether a command runs a test binary that can record. The binary is the program at a path, or an
// argument of it, as for env. Others need no privileges. The error says which file cannot be read.
func CanRecord(program string, args ...string) (bool, error) {
	if records, err := hasMarker(program); records || err != nil {
		return records, err
	}
	for _, arg := range args {
		if info, err := os.Stat(arg); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			continue
		}
		if records, err := hasMarker(arg); records || err != nil {
			return records, err
		}
	}
	return false, nil
}

func hasMarker(binary string) (bool, error) {
	f, err := os.Open(binary)
	if err != nil {
		return false, fmt.Errorf("read the test binary: %w", err)
	}
	defer f.Close()
	buffer := make([]byte, 1<<20)
	kept := 0 // the end of the last part, in which the name may begin
	for {
		n, err := io.ReadFull(f, buffer[kept:])
		if bytes.Contains(buffer[:kept+n], marker) {
			return true, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read the test binary: %w", err)
		}
		kept = copy(buffer, buffer[len(buffer)-len(marker):])
	}
}
