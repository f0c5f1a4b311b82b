package setup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Programs that change groups, in the order in which they are tried: those of the package shadow (or passwd), and those
// of busybox.
var (
	addGroup  = [][]string{{"groupadd", "--system", "GROUP"}, {"addgroup", "-S", "GROUP"}}
	addMember = [][]string{
		{"usermod", "-aG", "GROUP", "USER"}, {"gpasswd", "-a", "USER", "GROUP"}, {"addgroup", "USER", "GROUP"},
	}
	removeGroup = [][]string{{"groupdel", "GROUP"}, {"delgroup", "GROUP"}}
)

// ensureGroup makes the group, if there is none, and returns its ID.
func (i Installation) ensureGroup() (int, error) {
	gid, err := i.findGroup()
	if err == nil {
		i.reportf("group %s exists (gid %d)", i.Group, gid)
		return gid, nil
	}
	if !errors.As(err, new(user.UnknownGroupError)) {
		return 0, err
	}
	if err := i.change("add group "+i.Group, addGroup, ""); err != nil {
		return 0, err
	}
	if gid, err = i.findGroup(); err != nil {
		return 0, err
	}
	i.reportf("added system group %s (gid %d)", i.Group, gid)
	return gid, nil
}

// findGroup returns the ID of the group. Error: [user.UnknownGroupError].
func (i Installation) findGroup() (int, error) {
	group, err := user.LookupGroup(i.Group)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(group.Gid)
}

// ensureMember adds a user to the group.
func (i Installation) ensureMember(member *user.User, gid int) error {
	groups, err := member.GroupIds()
	if err != nil {
		return fmt.Errorf("find the groups of %s: %w", member.Username, err)
	}
	if slices.Contains(groups, strconv.Itoa(gid)) {
		i.reportf("%s is a member of group %s", member.Username, i.Group)
		return nil
	}
	what := fmt.Sprintf("add %s to group %s", member.Username, i.Group)
	if err := i.change(what, addMember, member.Username); err != nil {
		return err
	}
	i.reportf("added %s to group %s; it counts from the next login on, or at once in a shell of: newgrp %[2]s",
		member.Username, i.Group)
	return nil
}

// removeGroup removes the group with its list of members. It keeps a group that is the primary one of a user.
func (i Installation) removeGroup() error {
	gid, err := i.findGroup()
	if errors.As(err, new(user.UnknownGroupError)) {
		i.reportf("there is no group %s", i.Group)
		return nil
	}
	if err != nil {
		return err
	}
	users, err := usersWithGroup(gid)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		i.reportf("kept group %s: it is the primary group of %s", i.Group, strings.Join(users, ", "))
		return nil
	}
	if err := i.change("remove group "+i.Group, removeGroup, ""); err != nil {
		return err
	}
	i.reportf("removed group %s and its list of members", i.Group)
	return nil
}

// usersWithGroup returns the users of /etc/passwd with a primary group.
func usersWithGroup(gid int) ([]string, error) {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return nil, fmt.Errorf("find users: %w", err)
	}
	defer f.Close()
	var users []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// root:x:0:0:root:/root:/bin/sh
		if fields := strings.Split(lines.Text(), ":"); len(fields) > 3 && fields[3] == strconv.Itoa(gid) {
			users = append(users, fields[0])
		}
	}
	return users, lines.Err()
}

// change runs the first program that is installed, with GROUP and USER in its arguments replaced.
func (i Installation) change(what string, programs [][]string, member string) error {
	var absent []string
	for _, words := range programs {
		program, err := findProgram(words[0])
		if err != nil {
			absent = append(absent, words[0])
			continue
		}
		args := slices.Clone(words[1:])
		for n, arg := range args {
			switch arg {
			case "GROUP":
				args[n] = i.Group
			case "USER":
				args[n] = member
			}
		}
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %s: %w: %s", what, words[0], err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	return fmt.Errorf("%s: none of the programs for it is installed: %s", what, strings.Join(absent, ", "))
}

// findProgram looks for a program also where a shell that `su` starts does not.
func findProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}
