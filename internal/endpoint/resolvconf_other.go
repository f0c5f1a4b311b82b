//go:build !linux

package endpoint

import "os"

// openResolvConf opens this process's resolv.conf for every process.
func openResolvConf(int) (*os.File, fileVersion, bool, error) {
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return nil, fileVersion{}, false, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fileVersion{}, false, err
	}
	return f, fileVersion{size: info.Size(), modified: info.ModTime()}, false, nil
}
