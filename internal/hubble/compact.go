package hubble

import (
	"bufio"
	"cmp"
	"fmt"
	"io"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// WriteCompact writes the placed flows of a recording as text, one a line, in the order of the recording and in the
// manner of "hubble observe -o compact": "shop/cart -> shop/db:5432/TCP FORWARDED (TCP Flags: SYN)". All characters
// that a terminal might interpret are escaped.
func WriteCompact(w io.Writer, f recording.File) error {
	flows, verdicts, err := evaluated(f)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for i, one := range flows {
		verdict := forwarded
		if isDropped(one, verdicts[i]) {
			verdict = dropped
		}
		_, summary := layer4Of(one)
		summary = cmp.Or(summary, "DNS Answer NXDOMAIN") + refusal(one)
		one.Source, one.Destination = asHubble(one.Source), asHubble(one.Destination)
		line := fmt.Sprintf("%s -> %s %s (%s)", one.Source, one.Target(), verdict, summary)
		if _, err := fmt.Fprintln(out, report.Line(line)); err != nil {
			return err
		}
		requests, at := requestsOf(one)
		for j, r := range requests {
			verdict := forwarded
			if isDenied(verdictOf(verdicts[i], at[j])) {
				verdict = dropped
			}
			_, summary := layer7Of(flows[i], r)
			line := fmt.Sprintf("%s -> %s %s %s (%s)", one.Source, one.Target(), kindOf(r), verdict, summary)
			if _, err := fmt.Fprintln(out, report.Line(line)); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// asHubble returns an endpoint whose text has the namespace before the name.
func asHubble(e flow.Endpoint) flow.Endpoint {
	if e.Namespace != "" {
		e.Name, e.Namespace = e.Namespace+"/"+e.Name, ""
	}
	return e
}
