package report

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	maxBlock     = 12  // lines of one flow, without that of its test
	maxAddresses = 4   // listed addresses of one flow
	maxCommand   = 110 // columns of a command line: more could show its secrets, and says little about the flow
	maxName      = 60  // columns of a process's name
	minRequest   = 40  // columns of a request after both ends of its flow, if it is so long
	labelled     = 15  // columns before the text of a field
)

// denied writes the block of one unexpected flow, in at most 12 lines, one for its test, one for a refusal and 5 for
// requests.
func (w *writer) denied(d dependency, r Report) {
	first, title := len(w.lines), d.title(r.Workload)
	if len(d.requests) > 0 {
		room := width - utf8.RuneCountInString("  "+title+"  ")
		title += "  " + cut(d.requests[0], max(room, minRequest))
	}
	if d.ReportedBy != "" {
		w.hanging("  ", "      ", title+": see the report of "+clean(d.ReportedBy), 2)
		return
	}
	w.line(2, title)
	first += w.observed(d, r)
	w.field("denied", reason(d.Denied), max(1, min(maxBlock-(len(w.lines)-first), 5)))
	label := "also"
	for _, text := range d.more() {
		w.field(label, cut(text, width-labelled), 1)
		label = ""
	}
}

// observed writes what is known about a flow, but for the policy. It returns the number of lines for its test and for
// a refusal.
func (w *writer) observed(d dependency, r Report) (more int) {
	f := d.Flow
	if label, text := r.enforcement(f); text != "" {
		w.field(label, text, 1)
		more++
	}
	if a := addresses(d.Denied); a != "" {
		w.field("address", a, 2)
	}
	if !isImplied(f) {
		w.initiator(f, r.Module)
	}
	if implied := d.implied(); implied != "" {
		w.field("implied", implied, 2)
	}
	if name := nameOf(f); name != "" {
		w.field("name", name, 2)
	} else if d.ReverseDNS != "" {
		w.field("name", "none was looked up; reverse DNS says "+shorten(clean(d.ReverseDNS), maxName)+
			" (set by the owner of the address; no policy uses it)", 2)
	}
	if f.Process.Test != "" {
		more++
	}
	return more
}

// nameOf explains the source of the destination's name; "" if it is unknown.
func nameOf(f flow.Flow) string {
	named := f.Named
	switch e := f.Destination.Evidence; {
	case e == flow.NoEvidence:
		return ""
	case e == flow.ByOption && named == "":
		return "named by Peer"
	case e == flow.ByOption:
		return "named by " + clean(named)
	case named != "" && f.Dialled == 0:
		return "from " + clean(named)
	default:
		return "from " + e.String()
	}
}

// initiator writes when a flow was opened, by which process, and where in the code.
func (w *writer) initiator(f flow.Flow, module string) {
	w.field(seen(f))
	if isFromCluster(f) {
		return
	}
	w.field("by", process(f.Process), 2)
	w.calls(calls(f.Process.Stack, module))
	w.test(f.Process)
	w.origin(f.Process)
}

// isFromCluster reports whether neither the process nor the time of a flow is known, as in a recording of a cluster.
func isFromCluster(f flow.Flow) bool { return f.First == 0 && f.Process.Equal(flow.Process{}) }

// calls writes where in the code a flow was opened: the first call, and as many of the others as fit into the same
// number of lines as there may be calls.
func (w *writer) calls(texts []string) {
	label, used := "at", 0
	for _, text := range texts {
		var lines writer
		lines.field(label, text, maxCalls)
		if used += len(lines.lines); used > maxCalls {
			return
		}
		w.lines = append(w.lines, lines.lines...)
		label = ""
	}
}

// test writes the test that opened a flow, if one recording covers several.
func (w *writer) test(p flow.Process) {
	if p.Test != "" {
		w.field("test", shorten(clean(p.Test), maxCommand), 1)
	}
}

// origin writes the child process, its parents, and its container.
func (w *writer) origin(p flow.Process) {
	if from := descent(p); from != "" {
		w.field("from", from, 2)
	}
	if in := container(p); in != "" {
		w.field("in", in, 2)
	}
}

// descent returns the executable of a process and its parents, or "" where these say nothing more than its name.
func descent(p flow.Process) string {
	executable := shorten(clean(p.Executable), maxName)
	switch {
	case len(p.Parents) > 0 && executable != "":
		return executable + ", a child of " + shorten(clean(strings.Join(p.Parents, ", ")), maxCommand)
	case len(p.Parents) > 0:
		return "a child of " + shorten(clean(strings.Join(p.Parents, ", ")), maxCommand)
	case p.Container != "":
		return executable
	}
	return ""
}

// container returns the place of a process, or "".
func container(p flow.Process) string {
	if p.Container == "" {
		return ""
	}
	return "container " + shorten(clean(p.Container), maxName) + " (image " + shorten(clean(p.Image), maxName) + ")"
}

// binary writes the block of an unexpected program.
func (w *writer) binary(b Binary) {
	title := ends(b.Flow.Source.String(), b.Flow.Target())
	if b.ReportedBy != "" {
		w.hanging("  ", "      ", title+" by "+process(b.Flow.Process)+": see the report of "+clean(b.ReportedBy), 0)
		return
	}
	w.line(2, title)
	w.field("by", process(b.Flow.Process), 2)
	w.test(b.Flow.Process)
	w.origin(b.Flow.Process)
	w.field("program", clean(b.reason()), 4)
}

func (b Binary) reason() string {
	if b.More == 0 {
		return b.Reason
	}
	return b.Reason + "; it opened " + count(b.More, "more flow") + " that others may open"
}

// Notice returns the binary as a line, for a test that it does not fail.
func (b Binary) Notice() string {
	text := b.Flow.Source.String() + " -> " + b.Flow.Target() + " was opened by " + process(b.Flow.Process)
	if in := container(b.Flow.Process); in != "" {
		text += ", in " + in
	}
	return text + ": " + b.reason()
}

// isImplied reports whether the flow was not observed, but an observed flow needs it in a cluster.
func isImplied(f flow.Flow) bool {
	return f.Count == 0 && f.Destination.Kind == flow.Resolver && f.Process.Equal(flow.Process{})
}

// addresses returns the addresses of a name. A bare address is already in the block's title.
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
	text = strings.Replace(text, ", and ", " and ", 1)
	return text + dialled(d.Flow)
}

// dialled returns the dialed port if the policy has another one, or if it is only a port of the machine.
func dialled(f flow.Flow) string {
	switch {
	case f.Dialled == 0:
		return ""
	case f.Destination.Evidence == flow.ByContainer && f.Named != "":
		return fmt.Sprintf(", port %d, which %s publishes", f.Dialled, clean(f.Named))
	}
	return fmt.Sprintf(", port %d", f.Dialled)
}

// seen returns the number of times that the flow was seen, and the first time, as a field.
func seen(f flow.Flow) (label, text string, lines int) {
	n := max(f.Count, 1)
	when := Elapsed(f.First) + " after the recording started"
	label, text = "opened", "once, "+when
	if isFromCluster(f) {
		return "seen", count(int(min(n, math.MaxInt32)), "time"), 1
	}
	if n > 1 {
		text = strconv.FormatUint(n, 10) + " times, first " + when
	}
	switch {
	case f.Lookup:
		return "queried", text, 1
	case f.Before && n > 1:
		return label, strconv.FormatUint(n, 10) + " connections, before the recording; first sent " + Elapsed(f.First) +
			" after its start", 1
	case f.Before:
		return label, "before the recording; sent " + Elapsed(f.First) + " after its start", 1
	case f.Protocol == flow.TCP:
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

// process returns the process that opened the flow, as far as it is known.
func process(p flow.Process) string {
	if p.Equal(flow.Process{}) {
		return "unknown: the kernel reported no process"
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
		return who + ", exited before its command line was read"
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
