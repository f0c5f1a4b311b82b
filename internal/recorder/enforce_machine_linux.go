package recorder

import (
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
)

// machine is what rules need to know about this machine and its engine at one moment.
type machine struct {
	local     []netip.Addr // of the interfaces
	resolvers []netip.Addr
	search    endpoint.Search
	hosts     map[string][]netip.Addr // of the hosts file

	engineHosts []string           // names and addresses of machines at which the engine listens or publishes ports
	networks    []docker.Network   // of the engine
	containers  []docker.Container // that exist
}

// readMachine reads this machine. The engine is nil if it is not known.
func readMachine(engine *docker.Watcher) (machine, error) {
	local, err := endpoint.LocalAddrs()
	var resolvers endpoint.Resolvers
	search, _ := resolvers.Search(0)
	config := testcontainers.ReadConfig().Config
	m := machine{
		local: local, resolvers: endpoint.Nameservers(), search: search, hosts: endpoint.Hosts(),
		engineHosts: engineHosts(os.Getenv("TESTCONTAINERS_HOST_OVERRIDE"), os.Getenv("DOCKER_HOST"), config.Host,
			config.TestcontainersHost),
	}
	if engine == nil {
		return m, err
	}
	m.networks = engine.Networks()
	for _, c := range engine.Containers() {
		if c.Removed == 0 {
			m.containers = append(m.containers, lasting(c))
		}
	}
	return m, err
}

// lasting returns what matters to rules of a container: its names and its current addresses.
func lasting(c docker.Container) docker.Container {
	current := docker.Container{ID: c.ID, Name: c.Name, Image: c.Image, Command: c.Command, Labels: c.Labels,
		NetworkMode: c.NetworkMode}
	for _, n := range c.Networks {
		if n.Until == 0 {
			n.From = 0
			current.Networks = append(current.Networks, n)
		}
	}
	return current
}

// describe adds the networks of containers that start, which the engine has not connected yet.
func (m *machine) describe(starting map[string]docker.Container) {
	for i, c := range m.containers {
		if s, known := starting[c.ID]; known && len(c.Networks) == 0 {
			m.containers[i].Networks = s.Networks
		}
	}
}

// engineHosts returns the hosts of some addresses of engines, such as "tcp://192.0.2.1:2376", and the host at which
// containers publish ports if that is another one.
func engineHosts(override string, addresses ...string) []string {
	var hosts []string
	if override != "" {
		hosts = append(hosts, strings.ToLower(override))
	}
	for _, address := range addresses {
		if at, err := url.Parse(address); err == nil && at.Hostname() != "" {
			hosts = append(hosts, strings.ToLower(at.Hostname()))
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// gateways returns the addresses of the engine's machine in the networks of containers.
func (m machine) gateways() []netip.Addr {
	var all []netip.Addr
	for _, n := range m.networks {
		all = append(all, n.Gateways...)
	}
	return all
}

// addrsOf returns the addresses of a container.
func (m machine) addrsOf(id string) []netip.Addr {
	return m.addrsWhere(func(c docker.Container) bool { return c.ID == id })
}

// hostAccess returns the addresses of testcontainers' own containers through which others reach the test process.
func (m machine) hostAccess() []netip.Addr {
	return m.addrsWhere(func(c docker.Container) bool { return docker.Infrastructure(c) == docker.HostAccess })
}

func (m machine) addrsWhere(is func(docker.Container) bool) []netip.Addr {
	var addrs []netip.Addr
	for _, c := range m.containers {
		for _, n := range c.Networks {
			if is(c) {
				addrs = append(addrs, n.Addrs...)
			}
		}
	}
	return addrs
}
