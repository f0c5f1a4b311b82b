package cluster

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Binaries are the programs that a cluster runs.
type Binaries struct {
	APIServer, Etcd, Enforcer string // paths
}

// Build builds the programs from their projects' modules, which takes about five minutes on two cores. It keeps them in
// the user's cache directory, under a name derived from their sources, so a later call only looks them up.
//
// source is the directory of this package. log receives the output of the go command.
func Build(source string, log *os.File) (Binaries, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return Binaries{}, err
	}
	cache = filepath.Join(cache, "netzero", "cluster")
	controlPlane, err := build(filepath.Join(source, "controlplane"), cache, log, "kube-apiserver", "etcd")
	if err != nil {
		return Binaries{}, err
	}
	enforcer, err := build(source, cache, log, "enforcer")
	if err != nil {
		return Binaries{}, err
	}
	return Binaries{
		APIServer: filepath.Join(controlPlane, "kube-apiserver"), Etcd: filepath.Join(controlPlane, "etcd"),
		Enforcer: filepath.Join(enforcer, "enforcer"),
	}, nil
}

// build builds the commands of a module below cache, unless they are there, and returns their directory.
func build(module, cache string, log *os.File, commands ...string) (string, error) {
	version, err := versionOf(module, commands)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, commands[0]+"-"+version)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	unfinished, err := os.MkdirTemp(cache, "unfinished-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	fmt.Fprintf(log, "cluster: builds %v once, which takes minutes\n", commands)
	args := []string{"build", "-C", module, "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", unfinished + "/"}
	for _, command := range commands {
		args = append(args, "./"+command)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %v in %s: %w", commands, module, err)
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return "", err
	}
	return dir, os.Rename(unfinished, dir)
}

// versionOf returns a name derived from the source of a module's commands.
func versionOf(module string, commands []string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH)
	files := []string{"go.mod", "go.sum"}
	for _, command := range commands {
		files = append(files, filepath.Join(command, "main.go"))
	}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, name, len(text))
		hash.Write(text)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}

// lock waits for a file's lock, and returns a function that releases it.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return func() { file.Close() }, nil
}
