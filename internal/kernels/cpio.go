package kernels

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// File types of stat(2), which a cpio archive uses on every host.
const (
	typeDirectory = 0o040000
	typeDevice    = 0o020000 // a character device
	typeRegular   = 0o100000
)

// cpioWriter writes an archive in the "newc" format that the kernel unpacks: see
// Documentation/driver-api/early-userspace/buffer-format.rst. All files have root as their owner and a time in 1970, so
// that the same files make the same archive.
type cpioWriter struct {
	to    io.Writer
	size  int64 // written so far
	inode uint32
	made  map[string]bool
	err   error
}

func newCPIOWriter(to io.Writer) *cpioWriter { return &cpioWriter{to: to, made: make(map[string]bool)} }

// directory makes a directory and its missing parents.
func (w *cpioWriter) directory(name string) {
	if name == "." || name == "/" || w.made[name] {
		return
	}
	w.directory(path.Dir(name))
	w.made[name] = true
	w.entry(name, typeDirectory|0o755, 0, 0, nil)
}

// file makes a regular file and its missing parents.
func (w *cpioWriter) file(name string, permissions fs.FileMode, content []byte) {
	w.directory(path.Dir(name))
	w.entry(name, typeRegular|uint32(permissions.Perm()), 0, 0, content)
}

// device makes a character device and its missing parents.
func (w *cpioWriter) device(name string, major, minor uint32) {
	w.directory(path.Dir(name))
	w.entry(name, typeDevice|0o600, major, minor, nil)
}

// close ends the archive and returns the first error.
func (w *cpioWriter) close() error {
	w.inode = ^uint32(0) // the trailer's is 0
	w.entry("TRAILER!!!", 0, 0, 0, nil)
	return w.err
}

func (w *cpioWriter) entry(name string, mode, major, minor uint32, content []byte) {
	if uint64(len(content)) > 1<<32-1 {
		w.fail(fmt.Errorf("write cpio archive: %s is too large", name))
		return
	}
	w.inode++
	links := uint32(1)
	if mode&typeDirectory != 0 && mode&typeRegular == 0 {
		links = 2
	}
	const owner, group, time, checksum = 0, 0, 0, 0
	var b bytes.Buffer
	b.WriteString("070701")
	for _, field := range []uint32{
		w.inode, mode, owner, group, links, time, uint32(len(content)), 0, 0, major, minor, uint32(len(name) + 1),
		checksum,
	} {
		fmt.Fprintf(&b, "%08X", field)
	}
	b.WriteString(name)
	b.WriteByte(0)
	w.write(b.Bytes())
	w.align()
	w.write(content)
	w.align()
}

// align writes zeros up to a multiple of four bytes.
func (w *cpioWriter) align() { w.write(make([]byte, -w.size&3)) }

func (w *cpioWriter) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.to.Write(b)
	w.size += int64(n)
	if err != nil {
		w.fail(fmt.Errorf("write cpio archive: %w", err))
	}
}

func (w *cpioWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
