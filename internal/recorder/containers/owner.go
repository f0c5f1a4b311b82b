package containers

import (
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

// Ownership is what decides which containers belong to a recording.
type Ownership struct {
	Engine   Engine
	Label    string          // of the recording, on its containers
	Started  time.Duration   // of the recording, CLOCK_MONOTONIC
	Attached map[string]bool // by ID: containers that were passed to a recording; true for this one

	// Exchanges are the flows between the test process and containers, and between containers.
	Exchanges []Exchange

	Starts    map[string][]*Start   // by ID of the container
	Clients   func(*Start) []Client // among this process and its descendants
	Unrelated func(*Start) []Client // among all other processes
	Self      int                   // the PID of this process
	Session   string                // of testcontainers, in this process

	// Includes reports whether this recording includes the flows of another: its own, those of a subtest, or
	// unattributed ones. OnlyRecording says that no other test is recorded now.
	Includes      func(goroutine.ID) bool
	OnlyRecording bool

	// Created reports whether testcontainers created a container in this process, and for which recording, if that is
	// known.
	Created func(id string) (recording goroutine.ID, created bool)
}

// Exchange is a flow between two ends, of which at least one is a container.
type Exchange struct{ From, To string } // IDs of containers; From is "" for the test process

// Owned returns the IDs of the containers of the recording: those attached to it, and unattached ones that its
// processes started, that exchanged traffic with it, or that share a compose project or network with one of its
// containers.
func (o *Ownership) Owned() map[string]bool {
	owned := make(map[string]bool)
	free := make(map[string]docker.Container)
	for _, c := range o.Engine.Containers() {
		own, isAttached := o.Attached[c.ID]
		switch label := c.Labels[docker.LabelRecording]; {
		case isAttached:
			if own {
				owned[c.ID] = true
			}
		case label == o.Label:
			owned[c.ID] = true
		case label == "" && (c.Started >= o.Started || o.ranCommand(c.ID)) && docker.Infrastructure(c) == "":
			free[c.ID] = c
		}
	}
	perhaps := make(map[string]bool)
	for id, c := range free {
		certain, may := o.StartedBy(c)
		if perhaps[id] = may; certain {
			owned[id] = true
			delete(free, id)
		}
	}
	extend(owned, free, func(c docker.Container) bool {
		return (c.Started >= o.Started || perhaps[c.ID]) && o.isRelated(owned, c)
	})
	return owned
}

// Related returns the IDs of owned containers, and of those among older ones that are related to them or to the test
// process: they exchange traffic, are in one compose project or pod, or share a network of their own.
func (o *Ownership) Related(owned map[string]bool, isOlder func(id string) bool) map[string]bool {
	free := make(map[string]docker.Container)
	for _, c := range o.Engine.Containers() {
		if isOlder(c.ID) && !owned[c.ID] && c.Labels[docker.LabelRecording] == "" {
			free[c.ID] = c
		}
	}
	related := maps.Clone(owned)
	extend(related, free, func(c docker.Container) bool {
		return o.isRelated(related, c) || SharedNetwork(o.Engine, related, c) != ""
	})
	return related
}

// extend moves from free to owned what belongs, until nothing more does.
func extend(owned map[string]bool, free map[string]docker.Container, belongs func(docker.Container) bool) {
	for again := true; again; {
		again = false
		for id, c := range free {
			if belongs(c) {
				owned[id], again = true, true
				delete(free, id)
			}
		}
	}
}

// isRelated reports whether anything relates a container to the test process or to owned containers.
func (o *Ownership) isRelated(owned map[string]bool, c docker.Container) bool {
	for _, x := range o.Exchanges {
		if (x.From == "" || owned[x.From]) && x.To == c.ID || owned[x.To] && x.From == c.ID {
			return true
		}
	}
	for _, other := range o.Engine.Containers() {
		if !owned[other.ID] {
			continue
		}
		if project := c.Labels[LabelProject]; project != "" && other.Labels[LabelProject] == project {
			return true
		}
		if NetworkOwner(o.Engine, c).ID == NetworkOwner(o.Engine, other).ID {
			return true
		}
	}
	return false
}

// SharedNetwork returns the user-defined network, the first by name, in which a container meets one of the owned
// containers, or "".
func SharedNetwork(engine Engine, owned map[string]bool, c docker.Container) string {
	var shared []string
	for id := range owned {
		ours, _ := engine.Container(id)
		for _, a := range ours.Networks {
			if a.Network != "bridge" && a.Network != "host" && a.Network != "none" &&
				slices.ContainsFunc(c.Networks, func(b docker.Attachment) bool { return b.NetworkID == a.NetworkID }) {
				shared = append(shared, a.Network)
			}
		}
	}
	if len(shared) == 0 {
		return ""
	}
	return slices.Min(shared)
}

// StartedBy reports whether the recording's test started a container or ran a command in an older one. If it is not
// certain, perhaps reports whether it is possible. It does not need the engine.
func (o *Ownership) StartedBy(c docker.Container) (certain, perhaps bool) {
	for _, s := range o.Starts[c.ID] {
		is, may := o.startedThis(s, c)
		certain, perhaps = certain || is, perhaps || may
	}
	return certain, perhaps
}

func (o *Ownership) startedThis(s *Start, c docker.Container) (certain, perhaps bool) {
	if s.At < o.Started {
		return false, false
	}
	if recording, created := o.Created(c.ID); created && !s.Command {
		return o.Includes(recording) && (recording != 0 || o.OnlyRecording), o.Includes(recording)
	}
	// Only processes with the same parent are in one session of testcontainers.
	sameSession := c.Session == o.Session
	started := c.Labels[LabelTestcontainers] == "true" && !s.Command
	ours, others := impossible, impossible // how well the command lines of clients match the container
	unknown := false                       // a goroutine of this process, of an unknown test
	for _, client := range o.Unrelated(s) {
		if sameSession && !client.Sibling {
			continue
		}
		others = max(others, likelihood(client, c, s.Command))
	}
	for _, client := range o.Clients(s) {
		n := likelihood(client, c, s.Command)
		self := client.PID == o.Self
		switch {
		case self && started && (!sameSession || o.InSession(c)):
			// testcontainers of another process created it
		case self && client.OnlyTestcontainers && !s.Command && !mayBeOfTestcontainers(c):
			// another process started it, whose client may have ended before it was found
		case self && s.Command && c.OnlyHealthChecks(o.Started):
			// the engine ran its own health check
		case !o.Includes(client.Recording):
			others = max(others, n)
		default:
			ours = max(ours, n)
			unknown = unknown || self && client.Recording == 0
		}
	}
	switch {
	case ours == impossible, others > ours:
		return false, false
	case IsImageID(c.Image):
		return false, true // a build step
	case ours == others:
		return false, true
	case ours == possible && unknown && !o.OnlyRecording:
		return false, true
	}
	return true, true
}

// mayBeOfTestcontainers reports whether testcontainers-go may have started a container: it labels what it creates, its
// compose module starts projects, and a step of an image build has no labels.
func mayBeOfTestcontainers(c docker.Container) bool {
	return c.Labels[LabelTestcontainers] == "true" || c.Labels[LabelProject] != "" || IsImageID(c.Image)
}

// InSession reports whether testcontainers created a container in the session that this process belongs to: this
// process did if Created says so, otherwise the test of another package. compose itself creates the containers of its
// projects.
func (o *Ownership) InSession(c docker.Container) bool {
	return c.Labels[LabelTestcontainers] == "true" && c.Session == o.Session && c.Labels[LabelProject] == ""
}

// ranCommand reports whether this test may have run a command in a container that is older than the recording.
func (o *Ownership) ranCommand(id string) bool {
	return slices.ContainsFunc(o.Starts[id], func(s *Start) bool {
		return s.Command && s.At >= o.Started && len(o.Clients(s)) > 0
	})
}

var imageID = regexp.MustCompile(`^(sha256:[0-9a-f]+|[0-9a-f]{12}|[0-9a-f]{64})$`)

// IsImageID reports whether the image of a container has no name, as that of a build step.
func IsImageID(image string) bool { return imageID.MatchString(image) }
