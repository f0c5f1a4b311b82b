package endpoint

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const resolvConf = "etc/resolv.conf"

// openResolvConf opens a process's resolv.conf, or this process's if that fails, and reports which one.
func openResolvConf(pid int) (f *os.File, version fileVersion, its bool, err error) {
	f, err = openInRoot(procPath(pid, "root"), resolvConf)
	its = err == nil && pid != 0
	if err != nil {
		if f, err = os.Open("/" + resolvConf); err != nil {
			return nil, fileVersion{}, false, err
		}
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fileVersion{}, false, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() {
		f.Close()
		return nil, fileVersion{}, false, fmt.Errorf("read %s: not a regular file", f.Name())
	}
	return f, fileVersion{uint64(st.Dev), st.Ino, info.Size(), info.ModTime()}, its, nil
}

// openInRoot opens a file below a root directory, and resolves absolute symbolic links (resolv.conf often is one) from
// that root. A plain open of /proc/<pid>/root/… would resolve them from ours.
func openInRoot(root, file string) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	// O_NONBLOCK: a FIFO in its place must not block us.
	fd, err := unix.Openat2(dir, file, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK,
		Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: root + "/" + file, Err: err}
	}
	return os.NewFile(uintptr(fd), root+"/"+file), nil
}
