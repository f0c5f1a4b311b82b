package endpoint

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// resolverPort is where resolv.conf's name servers listen; the file cannot say otherwise.
const resolverPort = 53

// Resolvers tells name servers from other destinations. The zero value is ready; it is safe for concurrent use.
type Resolvers struct {
	mu     sync.Mutex
	parsed map[fileVersion]resolverConfig
}

// fileVersion identifies a file's content without reading it. Mount namespaces need no place in it: another file at
// the same path is another inode.
type fileVersion struct {
	device, inode uint64
	size          int64
	modified      time.Time
}

// maxParsed bounds what Resolvers remembers: a network manager rewrites resolv.conf, a test suite runs for hours.
const maxParsed = 64

// maxResolvConf bounds what is read of a file that another process chose.
const maxResolvConf = 64 << 10

// IsResolver reports whether a destination is a resolver of the process: port 53 of a loopback address (127.0.0.53 of
// systemd, 127.0.0.11 of Docker) or of a name server in /etc/resolv.conf as the process sees it. Where the process is
// gone or pid is 0, this process's file counts.
func (r *Resolvers) IsResolver(pid int, addr netip.Addr, port uint16) bool {
	if port != resolverPort {
		return false
	}
	addr = normal(addr)
	if addr.IsLoopback() {
		return true
	}
	return slices.Contains(r.nameservers(pid), addr)
}

// Search returns how the process completes names, by the same file; false where that is this process's.
func (r *Resolvers) Search(pid int) (Search, bool) {
	config, its := r.config(pid)
	return config.search, its
}

func (r *Resolvers) nameservers(pid int) []netip.Addr {
	config, _ := r.config(pid)
	return config.servers
}

// resolverConfig is what a resolv.conf says.
type resolverConfig struct {
	servers []netip.Addr
	search  Search
}

// config returns what the process's file says, and whether it is the process's.
func (r *Resolvers) config(pid int) (resolverConfig, bool) {
	f, version, its, err := openResolvConf(pid)
	if err != nil {
		return resolverConfig{parseResolvConf(""), parseSearch("")}, false
	}
	defer f.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if config, ok := r.parsed[version]; ok {
		return config, its
	}
	text, err := io.ReadAll(io.LimitReader(f, maxResolvConf+1))
	if err != nil {
		return resolverConfig{parseResolvConf(""), parseSearch("")}, false
	}
	if len(text) > maxResolvConf { // half an address is another one
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	config := resolverConfig{parseResolvConf(string(text)), parseSearch(string(text))}
	if r.parsed == nil || len(r.parsed) >= maxParsed {
		r.parsed = make(map[fileVersion]resolverConfig)
	}
	r.parsed[version] = config
	return config, its
}

// parseResolvConf returns the name servers of a resolv.conf (resolv.conf(5)): what follows the word nameserver, on lines
// that do not begin with ';' or '#'. glibc and Go ask the first three only; the others are resolvers all the same. A file
// that names none means this machine.
func parseResolvConf(text string) []netip.Addr {
	var servers []netip.Addr
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			servers = append(servers, normal(a))
		}
	}
	if len(servers) == 0 {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return servers
}

// dockersDefault are the resolvers that Docker gives to containers on a machine that has none but its own loopback
// (moby, libnetwork/resolvconf).
var dockersDefault = []netip.Addr{
	netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("8.8.4.4"),
	netip.MustParseAddr("2001:4860:4860::8888"), netip.MustParseAddr("2001:4860:4860::8844"),
}

// OfContainers returns the resolvers that Docker gives to a container in its default network for which nobody asked for
// others: those of this machine that are not on loopback, where systemd-resolved hides them those that it uses itself,
// else Docker's own choice. They tell what a container's resolver was when its resolv.conf is gone.
func OfContainers() []netip.Addr {
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		servers := slices.DeleteFunc(parseResolvConf(string(text)), netip.Addr.IsLoopback)
		if len(servers) > 0 {
			return servers
		}
	}
	return dockersDefault
}
