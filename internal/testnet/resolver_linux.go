package testnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// replaceResolver makes the lab's resolver visible in this mount namespace only.
func replaceResolver(resolvConf string) error {
	texts := map[string]string{"/etc/resolv.conf": resolvConf}
	if old, err := os.ReadFile("/etc/nsswitch.conf"); err == nil {
		texts["/etc/nsswitch.conf"] = onlyFilesAndDNS(string(old))
	}
	if err := bindTexts(texts); err != nil {
		return err
	}
	// glibc queries the machine's name cache, if there is one, in this directory.
	const cache = "/run/nscd"
	if _, err := os.Stat(cache); err == nil {
		if err := unix.Mount("tmpfs", cache, "tmpfs", unix.MS_RDONLY, "size=4k"); err != nil {
			return fmt.Errorf("hide %s: %w", cache, err)
		}
	}
	return nil
}

// onlyFilesAndDNS removes the services from nsswitch.conf that reach a resolver of the machine over a Unix socket
// (resolve, mymachines, mdns): they would look up the lab's names in the real network.
func onlyFilesAndDNS(nsswitch string) string {
	lines := strings.Split(nsswitch, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "hosts:") {
			lines[i] = "hosts: files dns"
		}
	}
	return strings.Join(lines, "\n")
}

// bindTexts mounts other texts over files. The texts are on a tmpfs that only these mounts refer to, so there is no
// file to remove. The tmpfs is mounted on /tmp for a moment, in this mount namespace only.
func bindTexts(texts map[string]string) error {
	const scratch = "/tmp"
	if err := unix.Mount("testnet", scratch, "tmpfs", 0, "size=256k,mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	for name, text := range texts {
		source := filepath.Join(scratch, filepath.Base(name))
		if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", source, err)
		}
		if err := os.Chmod(source, 0o644); err != nil { // whatever the umask
			return fmt.Errorf("write %s: %w", source, err)
		}
		if err := unix.Mount(source, name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount over %s: %w", name, err)
		}
	}
	if err := unix.Unmount(scratch, 0); err != nil {
		return fmt.Errorf("unmount tmpfs: %w", err)
	}
	return nil
}
