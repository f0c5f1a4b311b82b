package docker

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// record is the growing history of a container.
type record struct {
	Container
	attachments []*attachment
	aliases     map[string][]string // by network, from the container's creation on

	inspected      bool   // an inspection was answered
	fault          string // the error of the last one
	wanted, served uint64 // numbers of requested and of answered inspections
	busy           bool   // one is running
}

// attachment is an [Attachment] with the data to match it with the engine's answers.
type attachment struct {
	Attachment
	endpoint  string // Docker's ID of it, new for each start
	announced bool   // its start event has arrived
}

// record returns the entry of a container by its full ID. The lock is held.
func (w *Watcher) record(id string) *record {
	r := w.containers[id]
	if r == nil {
		r = &record{Container: Container{ID: id}, aliases: make(map[string][]string)}
		w.containers[id] = r
	}
	return r
}

// isKnown reports whether the container was inspected, without an error since.
func (r *record) isKnown() bool { return r.inspected && r.fault == "" }

// created records the container's creation with the event's attributes.
func (r *record) created(attributes map[string]string, at time.Duration) {
	r.IsNew, r.Created = true, at
	if r.inspected {
		return
	}
	r.Name, r.Image = attributes["name"], attributes["image"]
	r.Labels = maps.Clone(attributes)
	delete(r.Labels, "name")
	delete(r.Labels, "image")
	r.Session = r.Labels[labelSession]
}

// join records that the container joined a network.
func (r *record) join(id, name string, at time.Duration) {
	for _, a := range r.attachments {
		if a.NetworkID == id && a.Until == 0 {
			if !a.announced { // an inspection was faster than the event
				a.From, a.announced = at, true
				r.orderPorts()
				return
			}
			a.Until = at
		}
	}
	a := &attachment{Attachment: Attachment{Network: name, NetworkID: id, From: at}, announced: true}
	r.attachments = append(r.attachments, a)
}

// leave records that the container left a network.
func (r *record) leave(id string, at time.Duration) {
	for _, a := range r.attachments {
		if a.NetworkID == id && a.Until == 0 {
			a.Until = at
		}
	}
}

// end records that the container ended: it has no address and no published port any more.
func (r *record) end(at time.Duration) {
	for _, a := range r.attachments {
		if a.Until == 0 {
			a.Until = at
		}
	}
	for i := range r.Published {
		if r.Published[i].Until == 0 {
			r.Published[i].Until = at
		}
	}
}

// container returns a copy of the history.
func (r *record) container() Container {
	c := r.Container
	c.Labels = maps.Clone(c.Labels)
	c.Published = slices.Clone(c.Published)
	slices.SortFunc(c.Published, func(p, q Port) int {
		return cmp.Or(cmp.Compare(p.From, q.From), cmp.Compare(p.Port, q.Port), cmp.Compare(p.Protocol, q.Protocol),
			p.Host.Compare(q.Host), cmp.Compare(p.HostPort, q.HostPort))
	})
	for _, a := range r.attachments {
		n := a.Attachment
		if len(n.Aliases) == 0 {
			n.Aliases = r.requestedAliases(n.Network, n.NetworkID)
		}
		n.Addrs, n.Aliases = slices.Clone(n.Addrs), slices.Clone(n.Aliases)
		c.Networks = append(c.Networks, n)
	}
	slices.SortFunc(c.Networks, func(a, b Attachment) int {
		return cmp.Or(cmp.Compare(a.From, b.From), strings.Compare(a.Network, b.Network))
	})
	c.Missed = r.missed()
	return c
}

// requestedAliases returns the aliases that the container's creation requested for a network, by its name or ID.
func (r *record) requestedAliases(name, id string) []string {
	for called, aliases := range r.aliases {
		if called == name || called != "" && strings.HasPrefix(id, called) {
			return aliases
		}
	}
	return nil
}

// missed describes the missing facts of a container, with the reason.
func (r *record) missed() string {
	if r.served == 0 {
		return "" // nothing is missing yet
	}
	if !r.inspected {
		return "its networks, aliases and ports are not known: " +
			cmp.Or(r.fault, "it was removed before the engine could be queried")
	}
	if r.fault != "" {
		return "it may have changed since it was inspected last: " + r.fault
	}
	for _, a := range r.attachments {
		if len(a.Addrs) == 0 && a.Until != 0 && a.Network != "host" && a.Network != "none" {
			return "its address in network " + a.Network + " is not known: it left before the engine could be queried"
		}
	}
	return ""
}
