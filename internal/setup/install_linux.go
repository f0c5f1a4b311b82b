package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/launcher"
)

// partialPrefix starts the name of a helper that is not complete yet.
const partialPrefix = ".netzero-helper-"

// helperMode lets root write, and members of the group run.
const helperMode = 0o750

// Install makes the group, installs a program as the helper, and adds a user to the group, unless that is nil. It then
// runs the helper as that user. What is already right stays. It needs root.
func (i Installation) Install(ctx context.Context, program []byte, member *user.User) error {
	dir := filepath.Dir(i.Helper)
	if err := makeDirectory(dir); err != nil {
		return explain(err)
	}
	if err := checkDirectory(dir); err != nil {
		return err
	}
	gid, err := i.ensureGroup()
	if err != nil {
		return err
	}
	if err := i.ensureHelper(program, gid); err != nil {
		return explain(err)
	}
	if member == nil {
		i.reportf("nobody was added to group %s: add a user with: usermod -aG %[1]s USER", i.Group)
		return nil
	}
	if err := i.ensureMember(member, gid); err != nil {
		return err
	}
	if err := i.check(ctx, member, gid); err != nil {
		return fmt.Errorf("run %s as %s: %w", i.Helper, member.Username, err)
	}
	i.reportf("checked: %s may record by %s", member.Username, i.Helper)
	return nil
}

// makeDirectory makes a directory and those above it that are missing, so that users reach it whatever root's umask is.
func makeDirectory(dir string) error {
	switch err := os.Mkdir(dir, 0o755); {
	case err == nil:
		return os.Chmod(dir, 0o755)
	case errors.Is(err, unix.EEXIST):
		return nil
	case !errors.Is(err, unix.ENOENT):
		return err
	}
	if err := makeDirectory(filepath.Dir(dir)); err != nil {
		return err
	}
	return makeDirectory(dir)
}

// explain adds to an error what a person has to know about it.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: it must be writable once, for the setup", err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: nothing was installed", err)
	}
	return err
}

// checkDirectory reports why a program in the directory would have no capabilities, or could be replaced by others than
// root.
func checkDirectory(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	switch {
	case fs.Flags&unix.ST_NOSUID != 0:
		return fmt.Errorf("%s is on a file system that is mounted nosuid: programs there get no capabilities", dir)
	case fs.Flags&unix.ST_NOEXEC != 0:
		return fmt.Errorf("%s is on a file system that is mounted noexec: no program runs there", dir)
	}
	var s unix.Stat_t
	if err := unix.Lstat(dir, &s); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if s.Mode&unix.S_IFMT != unix.S_IFDIR || s.Uid != 0 || s.Mode&0o002 != 0 || s.Mode&0o020 != 0 && s.Gid != 0 {
		return fmt.Errorf("%s must be a directory that only root may write to", dir)
	}
	return nil
}

// ensureHelper installs the helper, unless the installed one has the same content, owner, mode and capabilities.
func (i Installation) ensureHelper(program []byte, gid int) error {
	if err := i.removePartial(); err != nil {
		return err
	}
	current, err := i.isCurrent(program, gid)
	if err != nil {
		return err
	}
	if current {
		i.reportf("%s is up to date", i.Helper)
		return nil
	}
	_, err = os.Lstat(i.Helper)
	existed := err == nil
	if err := i.writeHelper(program, gid); err != nil {
		return fmt.Errorf("install the helper: %w", err)
	}
	verb := "installed"
	if existed {
		verb = "updated"
	}
	i.reportf("%s %s (root:%s %#o) with %s", verb, i.Helper, i.Group, helperMode, names(needed()))
	return nil
}

func (i Installation) isCurrent(program []byte, gid int) (bool, error) {
	var s unix.Stat_t
	switch err := unix.Lstat(i.Helper, &s); {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, &os.PathError{Op: "lstat", Path: i.Helper, Err: err}
	case s.Mode != unix.S_IFREG|helperMode || s.Uid != 0 || int(s.Gid) != gid:
		return false, nil
	}
	installed, err := os.ReadFile(i.Helper)
	if err != nil {
		return false, err
	}
	set, err := capabilitiesOf(i.Helper)
	return bytes.Equal(installed, program) && set == needed(), err
}

// writeHelper writes the helper under another name and renames it, so that nobody meets half of it, and a helper that
// runs is left alone.
func (i Installation) writeHelper(program []byte, gid int) (err error) {
	f, err := os.CreateTemp(filepath.Dir(i.Helper), partialPrefix+"*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(program)
	if err == nil {
		err = f.Chown(0, gid) // takes capabilities away, so it comes first
	}
	if err == nil {
		err = f.Chmod(helperMode)
	}
	if err == nil {
		err = setCapabilities(int(f.Fd()), needed())
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), i.Helper)
	}
	return err
}

// removePartial removes what a setup that was killed left.
func (i Installation) removePartial() error {
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(i.Helper), partialPrefix+"*"))
	for _, path := range paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// check runs the helper as a member of the group, without a command.
func (i Installation) check(ctx context.Context, member *user.User, gid int) error {
	credential, err := Credential(member)
	if err != nil {
		return err
	}
	if !slices.Contains(credential.Groups, uint32(gid)) {
		credential.Groups = append(credential.Groups, uint32(gid))
	}
	cmd := exec.CommandContext(ctx, i.Helper, launcher.CheckCommand)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	out, err := cmd.CombinedOutput()
	if text := strings.TrimPrefix(strings.TrimSpace(string(out)), "netzero: "); err != nil && text != "" {
		return errors.New(text)
	}
	if errors.Is(err, unix.EPERM) {
		return errors.New("the kernel refuses it the capabilities: this root lacks one of them, as in a container")
	}
	return err
}

// Credential returns the user and the groups with which a process runs as a user.
func Credential(u *user.User) (*syscall.Credential, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("parse user id: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("parse group id: %w", err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("find the groups of %s: %w", u.Username, err)
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, text := range groups {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("parse group id: %w", err)
		}
		c.Groups = append(c.Groups, uint32(n))
	}
	return c, nil
}

// Remove removes the helper, its directory if that is empty then, and the group. It is no error if they are absent. It
// needs root.
func (i Installation) Remove() error {
	if err := i.removePartial(); err != nil {
		return err
	}
	switch err := os.Remove(i.Helper); {
	case err == nil:
		i.reportf("removed %s", i.Helper)
	case errors.Is(err, unix.ENOENT):
		i.reportf("there is no %s", i.Helper)
	default:
		return err
	}
	dir := filepath.Dir(i.Helper)
	switch err := os.Remove(dir); {
	case err == nil:
		i.reportf("removed %s", dir)
	case errors.Is(err, unix.ENOENT):
	case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
		i.reportf("kept %s: it holds other files", dir)
	default:
		return err
	}
	return i.removeGroup()
}
