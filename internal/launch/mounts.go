package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/launcher"
)

// engineSocket is where the machine of an engine has the engine's socket.
const engineSocket = "/var/run/docker.sock"

// bind is a file or a directory of this machine in the container.
type bind struct {
	source, target string
	readOnly       bool
	optional       bool // the command may well run without it
}

// mountedCommand returns a command as a launcher with mounts runs it, and the mounts.
func mountedCommand(ctx context.Context, command []string) (*launcher.Start, []bind, error) {
	id, err := readIdentity()
	if err != nil {
		return nil, nil, fmt.Errorf("read this process's user: %w", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, nil, fmt.Errorf("find the current directory: %w", err)
	}
	var b binds
	b.require(filepath.Dir(command[0]))
	b.require(dir)
	for _, path := range outputs(command[1:], dir) {
		b.require(path)
	}
	env := goEnv(ctx)
	for _, path := range modules(ctx, env) {
		b.require(path)
	}
	own := []string{os.TempDir()}
	b.offer(os.TempDir())
	for _, name := range []string{"GOTMPDIR", "GOCACHE", "GOMODCACHE"} {
		b.offer(env[name])
	}
	b.offer(os.Getenv("GOCOVERDIR"))
	b.offerReadOnly(env["GOROOT"])
	if home, err := os.UserHomeDir(); err == nil {
		own = append(own, home)
		b.offerReadOnly(filepath.Join(home, ".docker"))
		b.offerReadOnly(filepath.Join(home, ".testcontainers.properties"))
	}
	b.offerReadOnly(os.Getenv("DOCKER_CONFIG"))
	for _, path := range systemFiles() {
		b.offerReadOnly(path)
	}
	socket := engineSocket
	if path := os.Getenv("TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE"); path != "" {
		socket = path
	}
	b.all = append(b.all, bind{source: socket, target: engineSocket, optional: true})
	mounts, err := b.mounts()
	if err != nil {
		return nil, nil, err
	}
	return &launcher.Start{
		Command: command, Env: mountedEnviron(os.Environ()), Dir: dir,
		UID: id.uid, GID: id.gid, Groups: id.groups, Umask: id.umask,
		OneOutput: isOneOutput(), Socket: engineSocket, Own: own,
	}, mounts, nil
}

// denied are the environment variables that name this machine's sockets, which the container does not have. The
// command gets all others.
var denied = []string{
	"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", // of the engine: it gets the socket
	"XDG_RUNTIME_DIR", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS",
}

// mountedEnviron returns the environment of the command.
func mountedEnviron(environ []string) []string {
	env := slices.DeleteFunc(slices.Clone(environ), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(denied, name)
	})
	return append(env, "DOCKER_HOST=unix://"+engineSocket)
}

// pathFlags are the flags of a test binary that name a file or a directory.
var pathFlags = []string{
	"blockprofile", "coverprofile", "cpuprofile", "fuzzcachedir", "gocoverdir", "memprofile", "mutexprofile", "outputdir",
	"testlogfile", "trace",
}

// outputs returns the directories that the flags of a test binary name, or those of the files that they name.
func outputs(args []string, dir string) []string {
	var dirs []string
	for i, arg := range args {
		name, value, hasValue := strings.Cut(arg, "=")
		name, isTest := strings.CutPrefix(strings.Replace(name, "--", "-", 1), "-test.")
		if !isTest || !slices.Contains(pathFlags, name) {
			continue
		}
		if !hasValue && i+1 < len(args) {
			value = args[i+1]
		}
		if value == "" {
			continue
		}
		if !filepath.IsAbs(value) {
			value = filepath.Join(dir, value)
		}
		if info, err := os.Stat(value); err != nil || !info.IsDir() {
			value = filepath.Dir(value)
		}
		dirs = append(dirs, value)
	}
	return dirs
}

// goEnv returns what the Go tool says about the current directory, or what is known without it.
func goEnv(ctx context.Context) map[string]string {
	names := []string{"GOMOD", "GOWORK", "GOCACHE", "GOMODCACHE", "GOTMPDIR", "GOROOT"}
	env := map[string]string{}
	if goJSON(ctx, &env, append([]string{"env", "-json"}, names...)...) != nil {
		for _, name := range names {
			env[name] = os.Getenv(name)
		}
	}
	return env
}

// goJSON runs the Go tool of this machine and decodes what it prints.
func goJSON(ctx context.Context, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	return json.NewDecoder(bytes.NewReader(out)).Decode(into)
}

// modules returns the directories of the modules that the current directory's one is built from, but for those of the
// module cache.
func modules(ctx context.Context, env map[string]string) []string {
	var dirs []string
	var replace func(file string, edit ...string)
	replace = func(file string, edit ...string) {
		if file == "" || file == os.DevNull || file == "off" {
			return
		}
		root := filepath.Dir(file)
		dirs = append(dirs, root)
		var parsed struct {
			Use     []struct{ DiskPath string }
			Replace []struct {
				New struct{ Path, Version string }
			}
		}
		if goJSON(ctx, &parsed, append(edit, "edit", "-json", file)...) != nil {
			return // the test has been built, so that this is no error of the module
		}
		for _, use := range parsed.Use {
			replace(filepath.Join(absolute(root, use.DiskPath), "go.mod"), "mod")
		}
		for _, r := range parsed.Replace {
			if r.New.Version == "" && r.New.Path != "" {
				dirs = append(dirs, absolute(root, r.New.Path))
			}
		}
	}
	replace(env["GOMOD"], "mod")
	replace(env["GOWORK"], "work")
	return dirs
}

func absolute(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

// systemFiles are files of this machine with which programs work as they do here. The image has none.
func systemFiles() []string {
	if runtime.GOOS == "darwin" {
		return []string{"/etc/ssl/cert.pem"} // Go looks for certificates there on Linux, too
	}
	return []string{
		"/bin", "/lib", "/lib32", "/lib64", "/sbin", "/usr", // dynamically linked tests, and programs that tests start
		"/etc/group", "/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd", "/etc/pki", "/etc/ssl",
	}
}

// binds collects mounts.
type binds struct{ all []bind }

// require adds a directory without which the command does not run.
func (b *binds) require(dir string) { b.add(bind{source: dir}) }

// offer adds a directory that need not exist, here or on the engine's machine.
func (b *binds) offer(dir string) { b.add(bind{source: dir, optional: true}) }

func (b *binds) offerReadOnly(path string) { b.add(bind{source: path, optional: true, readOnly: true}) }

// add adds the path as it is written and, if it differs, the one without symbolic links: a program may use either, as
// with /var/folders and /private/var/folders on macOS.
func (b *binds) add(m bind) {
	if m.source == "" {
		return
	}
	m.target = filepath.Clean(m.source)
	real, err := filepath.EvalSymlinks(m.target)
	if err != nil {
		return // it does not exist: the command finds the same
	}
	m.source = real
	b.all = append(b.all, m)
	if m.target != real {
		m.target = real
		b.all = append(b.all, m)
	}
}

// engineOwn are directories that the engine makes for each container.
var engineOwn = []string{"/dev", "/proc", "/sys"}

// mounts returns what to mount: nothing twice, and nothing within a directory that is mounted with its content.
func (b *binds) mounts() ([]bind, error) {
	var mounts []bind
	sorted := slices.Clone(b.all)
	slices.SortStableFunc(sorted, func(x, y bind) int { return strings.Compare(x.target, y.target) })
	for _, m := range sorted {
		if slices.ContainsFunc(engineOwn, func(dir string) bool { return isBelow(m.target, dir) }) {
			continue
		}
		if m.target == "/" {
			if m.optional {
				continue
			}
			return nil, fmt.Errorf("a container cannot have this machine's directory %s: use another one", m.target)
		}
		if i := slices.IndexFunc(mounts, func(o bind) bool { return o.target == m.target }); i >= 0 {
			mounts[i].readOnly = mounts[i].readOnly && m.readOnly
			mounts[i].optional = mounts[i].optional && m.optional
			continue
		}
		mounts = append(mounts, m)
	}
	return slices.DeleteFunc(mounts, func(m bind) bool {
		return slices.ContainsFunc(mounts, func(o bind) bool { return o.includes(m) })
	}), nil
}

// includes reports whether a mount has all that another one has, at the same paths and at least as writable.
func (m bind) includes(o bind) bool {
	if m.target == o.target || !isBelow(o.target, m.target) || m.readOnly && !o.readOnly || m.optional && !o.optional {
		return false
	}
	below, err := filepath.Rel(m.target, o.target)
	return err == nil && filepath.Join(m.source, below) == o.source
}

func isBelow(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// refused returns the mount that an engine's error is about.
func refused(err error, mounts []bind) (bind, bool) {
	var culprit bind
	if text := strings.ToLower(err.Error()); !strings.Contains(text, "mount") && !strings.Contains(text, "bind") {
		return bind{}, false
	}
	for _, m := range mounts {
		if strings.Contains(err.Error(), m.source) && len(m.source) > len(culprit.source) {
			culprit = m
		}
	}
	return culprit, culprit.source != ""
}
