package report

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/flow"
)

const (
	maxAddresses = 4   // of one flow that are listed
	maxCommand   = 110 // columns of a command line: a longer one tells more about its secrets than about the flow
	maxName      = 60  // columns of a process's name
)

// denied writes the block of one unexpected flow, in at most 12 lines.
func (w *writer) denied(d Denied, workload string) {
	f := d.Flow
	source := f.Source.String()
	if f.Source.Name == "" && !f.Source.Addr.IsValid() && f.Source.Kind != flow.Anyone {
		source = workload
	}
	w.line(2, clean(source)+" -> "+clean(f.Target()))
	if a := addresses(d); a != "" {
		w.field("address", a, 2)
	}
	w.field(seen(f))
	w.field("by", process(f.Process), 2)
	if e := f.Destination.Evidence; e != flow.NoEvidence {
		w.field("name", "from "+e.String(), 1)
	}
	w.field("denied", reason(d), 5)
}

// addresses returns what stands behind a name. A bare address stands in the block's title already.
func addresses(d Denied) string {
	all := d.Addrs
	if len(all) == 0 && d.Flow.Destination.Addr.IsValid() {
		all = []netip.Addr{d.Flow.Destination.Addr}
	}
	metadata := len(all) == 1 && all[0] == flow.MetadataService
	if d.Flow.Destination.Kind == flow.Address && len(all) < 2 && !metadata {
		return ""
	}
	var texts []string
	for i, a := range all {
		if i == maxAddresses {
			texts = append(texts, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		texts = append(texts, a.String())
	}
	text := strings.Join(texts, ", ")
	if metadata {
		text += " (the cloud's metadata service, which hands out credentials)"
	}
	return strings.Replace(text, ", and ", " and ", 1)
}

// seen returns how often the flow was seen, and when first, as a field.
func seen(f flow.Flow) (label, text string, lines int) {
	n := max(f.Count, 1)
	when := human(f.First) + " after the recording started"
	label, text = "opened", "once, "+when
	if n > 1 {
		text = strconv.FormatUint(n, 10) + " times, first " + when
	}
	if f.Protocol == flow.TCP {
		return label, text, 1
	}
	unit := "packet"
	if f.Protocol == flow.UDP || f.Protocol == flow.UDPLite {
		unit = "datagram"
	}
	if n == 1 {
		return "sent", "1 " + unit + ", " + when, 1
	}
	return "sent", strconv.FormatUint(n, 10) + " " + unit + "s, first " + when, 1
}

// process returns who opened the flow, as far as it is known.
func process(p flow.Process) string {
	if p == (flow.Process{}) {
		return "an unknown process: the kernel gave none"
	}
	who := shorten(clean(p.Name), maxName)
	switch {
	case p.Name == "" && p.PID == 0:
		return shorten(clean(p.Command), maxCommand)
	case p.Name == "":
		who = "pid " + strconv.Itoa(p.PID)
	case p.PID != 0:
		who += " (pid " + strconv.Itoa(p.PID) + ")"
	}
	if p.Command == "" {
		return who + ", gone before its command line could be read"
	}
	return who + ": " + shorten(clean(p.Command), maxCommand)
}

func reason(d Denied) string {
	text := d.Reason
	if text == "" {
		text = "no rule allows it"
	}
	if d.Policy != "" {
		text = "policy " + d.Policy + ": " + text
	}
	return clean(text)
}
