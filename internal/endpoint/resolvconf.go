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

// resolverPort is the port of resolv.conf's name servers; the file cannot change it.
const resolverPort = 53

// Resolvers distinguishes name servers from other destinations. The zero value is ready. It is safe for concurrent use.
type Resolvers struct {
	mu     sync.Mutex
	parsed map[fileVersion]resolverConfig
}

// fileVersion identifies a file's content without reading it. It needs no mount namespace: another file at the same
// path has another inode.
type fileVersion struct {
	device, inode uint64
	size          int64
	modified      time.Time
}

// maxParsed limits the cache of Resolvers: a network manager rewrites resolv.conf, and test suites run for hours.
const maxParsed = 64

// maxResolvConf limits the size of a file that another process chose.
const maxResolvConf = 64 << 10

// isResolver reports whether a destination is a resolver of the process: port 53 of a loopback address (127.0.0.53 of
// systemd, 127.0.0.11 of Docker) or of a name server in the process's /etc/resolv.conf. If the process is gone or pid
// is 0, this process's file counts.
func (r *Resolvers) isResolver(pid int, addr netip.Addr, port uint16) bool {
	if port != resolverPort {
		return false
	}
	addr = normal(addr)
	if addr.IsLoopback() {
		return true
	}
	return slices.Contains(r.nameservers(pid), addr)
}

// Search returns the search list of a process from the same file; false if it used this process's file.
func (r *Resolvers) Search(pid int) (Search, bool) {
	config, its := r.config(pid)
	return config.search, its
}

func (r *Resolvers) nameservers(pid int) []netip.Addr {
	config, _ := r.config(pid)
	return config.servers
}

// resolverConfig is the content of a resolv.conf.
type resolverConfig struct {
	servers []netip.Addr
	search  Search
}

// config returns the content of the process's file, and whether it is the process's.
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
	if len(text) > maxResolvConf { // half an address is another address
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	config := resolverConfig{parseResolvConf(string(text)), parseSearch(string(text))}
	if r.parsed == nil || len(r.parsed) >= maxParsed {
		r.parsed = make(map[fileVersion]resolverConfig)
	}
	r.parsed[version] = config
	return config, its
}

// parseResolvConf returns the name servers of a resolv.conf (resolv.conf(5)): the arguments of nameserver, on lines
// that do not begin with ';' or '#'. glibc and Go query only the first three, but the others are resolvers too. A file
// without name servers means this machine.
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

// dockersDefault are the resolvers of Docker's containers on a machine with only loopback resolvers (moby,
// libnetwork/resolvconf).
var dockersDefault = []netip.Addr{
	netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("8.8.4.4"),
	netip.MustParseAddr("2001:4860:4860::8888"), netip.MustParseAddr("2001:4860:4860::8844"),
}

// OfContainers returns the resolvers of a container in Docker's default network without configured resolvers: those of
// this machine that are not on loopback; if systemd-resolved hides them, those that it uses itself; otherwise Docker's
// default. They stand for a container's resolvers when its resolv.conf is gone.
func OfContainers() []netip.Addr {
	for _, file := range resolvConfs {
		servers := slices.DeleteFunc(nameserversIn(file), netip.Addr.IsLoopback)
		if len(servers) > 0 {
			return servers
		}
	}
	return dockersDefault
}

// resolvConfs are the configuration of this machine's resolver, and that of systemd-resolved, which serves on loopback.
var resolvConfs = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// nameserversIn returns the name servers of a file; none if it cannot be read.
func nameserversIn(file string) []netip.Addr {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return parseResolvConf(string(text))
}

// Nameservers returns the resolvers that processes of this machine and of its containers may use: those of the
// configured files, and Docker's default.
func Nameservers() []netip.Addr {
	var all []netip.Addr
	for _, file := range resolvConfs {
		all = append(all, nameserversIn(file)...)
	}
	all = append(all, OfContainers()...)
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
