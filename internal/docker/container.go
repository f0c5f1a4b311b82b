package docker

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The labels by which a recording marks its containers.
const (
	LabelRecording = "dev.netzero.recording" // which recording it belongs to
	LabelWorkload  = "dev.netzero.workload"  // what a policy shall call it
	LabelPeer      = "dev.netzero.peer"      // "true": it is known by name, but gets no policy
)

// IsPeer reports whether a container's labels say that it gets no policy of its own.
func IsPeer(labels map[string]string) bool { return labels[LabelPeer] == "true" }

// Labels that others set, and their meaning.
const (
	labelSession = "org.testcontainers.sessionId"
	labelReaper  = "org.testcontainers.reaper"
	labelRyuk    = "org.testcontainers.ryuk"
	labelService = "com.docker.compose.service"
)

// Container is what a container is or was. Times are of CLOCK_MONOTONIC; 0 is never, except where said otherwise.
type Container struct {
	ID      string
	Name    string // without the slash
	Image   string // as it was asked for
	Command string // the executable and its arguments, separated by spaces
	Labels  map[string]string
	Session string // of testcontainers, or ""

	Born    bool // created since Watch
	Created time.Duration
	Started time.Duration // the last time
	Ended   time.Duration // 0 while it runs
	Removed time.Duration // 0 while it exists

	Networks     []Attachment // in the order in which it came to them; also those that it left
	Published    []Port       // also those of former starts
	NetworkMode  string       // "bridge", "host", "none", "container:<id>", or a network's name
	CgroupParent string       // as it was asked for; mostly ""
	Resolvers    []netip.Addr // as they were asked for (docker run --dns); mostly none
	Exposed      []Exposed    // ports that the image (EXPOSE) or the request names; known once the engine was asked
	LocalPorts   string       // its own net.ipv4.ip_local_port_range, as "32768 60999"; "" for the kernel's default

	Execs       map[string]time.Duration // commands that were run in it since Watch or shortly before, and when for the last time
	HealthCheck string                   // the command by which the engine looks whether it is well; "" where it does not

	// Missed says what could not be taken, and why; "" where nothing is missing.
	Missed string
}

func (c Container) compare(d Container) int {
	return cmp.Or(cmp.Compare(c.Created, d.Created), strings.Compare(c.ID, d.ID))
}

// Attachment is a container's time in a network. It ends when the container ends, too.
type Attachment struct {
	Network   string
	NetworkID string
	Addrs     []netip.Addr // IPv4 first; none in the networks "host" and "none"
	Gateways  []netip.Addr
	Aliases   []string      // as they were asked for; the engine adds its own: the container's name and short ID
	From      time.Duration // 0: before Watch
	Until     time.Duration // 0: it lasts
}

// Exposed is a port of a container that its image or its request says it listens at.
type Exposed struct {
	Port     uint16
	Protocol flow.Protocol
}

// Exposes reports whether a container's image or request, or a port that it publishes or published, names a port.
func (c Container) Exposes(port uint16, protocol flow.Protocol) bool {
	return slices.Contains(c.Exposed, Exposed{port, protocol}) ||
		slices.ContainsFunc(c.Published, func(p Port) bool { return p.Port == port && p.Protocol == protocol })
}

// Port is a container's port that can be reached by an address of the host, for a time.
type Port struct {
	Host     netip.Addr // unspecified: any address of its family
	HostPort uint16
	Port     uint16 // the container's
	Protocol flow.Protocol
	From     time.Duration // 0: before Watch
	Until    time.Duration // 0: it lasts
}

// OnlyHealthChecks reports whether all commands that were run in the container since a time are the engine's own.
func (c Container) OnlyHealthChecks(since time.Duration) bool {
	if c.HealthCheck == "" {
		return false
	}
	for command, last := range c.Execs {
		if command != c.HealthCheck && last >= since {
			return false
		}
	}
	return true
}

// healthCheck returns the command line of a health check, as events have it.
func healthCheck(c *container.Config) string {
	if c.Healthcheck == nil || len(c.Healthcheck.Test) < 2 {
		return ""
	}
	command := slices.Clone(c.Healthcheck.Test[1:])
	switch c.Healthcheck.Test[0] {
	case "CMD":
	case "CMD-SHELL":
		shell := []string(c.Shell)
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		command = append(slices.Clone(shell), command...)
	default:
		return ""
	}
	return strings.Join(command, " ")
}

// within reports whether a time lies in an interval as attachments and ports have it.
func within(at, from, until time.Duration) bool {
	return from <= at && (until == 0 || at < until)
}

// What testcontainers starts for itself.
const (
	Reaper     = "Ryuk (testcontainers' reaper)"
	HostAccess = "host access (testcontainers' sshd)" // by which containers reach ports of the test process
)

// Infrastructure says what a container is that testcontainers starts for itself, or "" for one of the test's.
func Infrastructure(c Container) string {
	switch image := repository(c.Image); {
	case c.Labels[labelReaper] == "true", c.Labels[labelRyuk] == "true", isOf(image, "testcontainers/ryuk"):
		return Reaper
	case isOf(image, "testcontainers/sshd"):
		return HostAccess
	}
	return ""
}

// isOf reports whether a repository is this one, on whatever registry or under whatever prefix of a mirror.
func isOf(repository, name string) bool {
	return repository == name || strings.HasSuffix(repository, "/"+name)
}

// repository returns an image's name without tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		image = image[:colon]
	}
	return image
}
