package docker

import "strings"

// idLength is the length of a container's full ID in hexadecimal digits.
const idLength = 64

// IDsFromCgroup returns the full IDs of the containers in a cgroup path, outermost first.
//
// It knows the forms of the cgroupfs driver ("/docker/<id>"), of the systemd driver ("docker-<id>.scope", and other
// engines' prefixes), and of runc's "slice:prefix:<id>". A monitor process of Podman ("libpod-conmon-<id>.scope") is
// outside of its container.
func IDsFromCgroup(path string) []string {
	var ids []string
	for part := range strings.SplitSeq(path, "/") {
		if id := idOf(part); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func idOf(part string) string {
	name, scope := strings.CutSuffix(part, ".scope")
	if len(name) < idLength {
		return ""
	}
	prefix, id := name[:len(name)-idLength], name[len(name)-idLength:]
	if strings.Trim(id, "0123456789abcdef") != "" || strings.HasSuffix(prefix, "conmon-") {
		return ""
	}
	if prefix == "" || scope && strings.HasSuffix(prefix, "-") ||
		strings.Count(prefix, ":") == 2 && strings.HasSuffix(prefix, ":") {
		return id
	}
	return ""
}
