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

// The labels with which a recording marks its containers.
const (
	LabelRecording = "dev.netzero.recording" // its recording
	LabelWorkload  = "dev.netzero.workload"  // its name in a policy
	LabelPeer      = "dev.netzero.peer"      // "true": it is known by name, but gets no policy
)

// IsPeer reports whether a container's labels exclude a policy of its own.
func IsPeer(labels map[string]string) bool { return labels[LabelPeer] == "true" }

// Labels that other programs set.
const (
	labelSession = "org.testcontainers.sessionId"
	labelReaper  = "org.testcontainers.reaper"
	labelRyuk    = "org.testcontainers.ryuk"
	labelService = "com.docker.compose.service"
)

// Container is the past and present of a container. Times are of CLOCK_MONOTONIC; 0 means never, unless stated
// otherwise.
type Container struct {
	ID      string
	Name    string // without the slash
	Image   string // as requested
	Command string // the executable and its arguments, separated by spaces
	Labels  map[string]string
	Session string // of testcontainers, or ""

	IsNew   bool // created since Watch
	Created time.Duration
	Started time.Duration // the last time
	Ended   time.Duration // 0 while it runs
	Removed time.Duration // 0 while it exists

	Networks     []Attachment // in the order of joining; also those that it left
	Published    []Port       // also those of earlier starts
	NetworkMode  string       // "bridge", "host", "none", "container:<id>", or a network's name
	Resolvers    []netip.Addr // as requested (docker run --dns); usually none
	Search       []string     // search domains as requested (docker run --dns-search); usually none
	Hosts        []string     // "name:address" for its /etc/hosts, as requested (docker run --add-host)
	CgroupParent string       // as requested (docker run --cgroup-parent); usually empty
	Exposed      []Exposed    // ports that the image (EXPOSE) or the request names; known after the first inspection
	APIServer    []string     // the variables KUBERNETES_SERVICE_* of its environment; usually none
	LocalPorts   string       // its own net.ipv4.ip_local_port_range, as "32768 60999"; "" for the kernel's default

	// commands that ran in it since Watch or shortly before, with their latest time
	Execs       map[string]time.Duration
	HealthCheck string // the command of the engine's health check; "" if there is none

	// Missed says what could not be read, and why; "" if nothing is missing.
	Missed string
}

func (c Container) compare(d Container) int {
	return cmp.Or(cmp.Compare(c.Created, d.Created), strings.Compare(c.ID, d.ID))
}

// Attachment is a container's time in a network. It ends at the latest with the container.
type Attachment struct {
	Network   string
	NetworkID string
	Addrs     []netip.Addr  // IPv4 first; none in the networks "host" and "none"
	Aliases   []string      // as requested; the engine adds the container's name and short ID
	From      time.Duration // 0: before Watch
	Until     time.Duration // 0: still attached
}

// Exposed is a port at which a container listens according to its image or request.
type Exposed struct {
	Port     uint16
	Protocol flow.Protocol
}

// Exposes reports whether a container's image or request, or one of its current or former published ports, names a
// port.
func (c Container) Exposes(port uint16, protocol flow.Protocol) bool {
	return slices.Contains(c.Exposed, Exposed{port, protocol}) ||
		slices.ContainsFunc(c.Published, func(p Port) bool { return p.Port == port && p.Protocol == protocol })
}

// Port is a container's port that is published at an address of the host, for a time.
type Port struct {
	Host     netip.Addr // unspecified: any address of its family
	HostPort uint16
	Port     uint16 // the container's
	Protocol flow.Protocol
	From     time.Duration // 0: before Watch
	Until    time.Duration // 0: still published
}

// OnlyHealthChecks reports whether the engine's health check is the only command that ran in the container since a
// time.
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

// healthCheck returns the command line of a health check in the form of events.
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

// within reports whether a time is in an interval of an attachment or a port.
func within(at, from, until time.Duration) bool {
	return from <= at && (until == 0 || at < until)
}

// Containers that testcontainers and netzero start for themselves.
const (
	Reaper     = "Ryuk (testcontainers' reaper)"
	HostAccess = "host access (testcontainers' sshd)" // with which containers reach ports of the test process
	Helper     = "netzero's helper"                   // with which `netzero exec` runs a test binary
)

// LabelHelper marks the containers of netzero's helper.
const LabelHelper = "dev.netzero.exec"

// Infrastructure describes a container that testcontainers or netzero starts for itself; "" for one of the test's.
func Infrastructure(c Container) string {
	switch image := repository(c.Image); {
	case c.Labels[labelReaper] == "true", c.Labels[labelRyuk] == "true", isOf(image, "testcontainers/ryuk"):
		return Reaper
	case c.Labels[LabelHelper] == "true":
		return Helper
	case isOf(image, "testcontainers/sshd"):
		return HostAccess
	}
	return ""
}

// isOf reports whether an image's repository has a name, in any registry or below any prefix of a mirror.
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
