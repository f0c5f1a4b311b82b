package placement

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddPorts_Syntax(t *testing.T) {
	for _, row := range []struct {
		ports []string
		want  string // the ranges, or the error
	}{
		{[]string{"ftp:30000-30009", "ftp:30000-30009/tcp"}, "ftp:30000-30009/TCP"},
		{
			[]string{"orders.shop:50051", "media:10000-10999/udp", "media:10000-10999/SCTP"},
			"orders.shop:50051/TCP media:10000-10999/UDP media:10000-10999/SCTP",
		},
		{[]string{"ftp"}, `has no port: write workload:port or workload:first-last, such as "ftp:30000-30009"`},
		{
			[]string{"Ftp:21"}, `name "Ftp" has 'F' at byte 0, only lower-case letters, digits and '-' may stand there: ` +
				`write "ftp"`,
		},
		{[]string{"ftp:0"}, `"0" is no port: write a number from 1 to 65535`},
		{[]string{"ftp:1-65536"}, `"65536" is no port: write a number from 1 to 65535`},
		{[]string{"ftp:30009-30000"}, `the range ends before it begins: write 30000-30009`},
		{[]string{"ftp:21/icmp"}, `protocol "icmp" is none of TCP, UDP and SCTP`},
		{[]string{"ftp:1-9", "ftp:9-10"}, `overlaps "ftp:1-9/TCP": write one range that holds both`},
	} {
		var o Options
		var got []string
		for _, text := range row.ports {
			if err := o.AddPorts(text); err != nil {
				o.Rules.Ranges, got = nil, []string{err.Error()}
			}
		}
		for _, r := range o.Rules.Ranges {
			got = append(got, r.String())
		}
		if diff := cmp.Diff(row.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", row.ports, diff)
		}
	}
}
