package endpoint

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// row prints a socket like the kernel.
func row(local, remote, state string, inode int) string {
	return fmt.Sprintf("   0: %s %s %s 00000000:00000000 00:00000000 00000000  1000        0 %d 1 0000000000000000 "+
		"100 0 0 10 0",
		kernelAddr(local), kernelAddr(remote), state, inode)
}

func kernelAddr(s string) string {
	ap := netip.MustParseAddrPort(s)
	raw := ap.Addr().AsSlice()
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	return fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(raw)), ap.Port())
}

func TestParseSocket_Rows(t *testing.T) {
	const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
	for _, tt := range []struct {
		row    string
		udp    bool
		ok     bool
		want   socket
		reason string
	}{
		{heading, false, false, socket{}, "the heading"},
		{row("127.0.0.1:8080", "0.0.0.0:0", "0A", 7), false, true,
			socket{netip.MustParseAddrPort("127.0.0.1:8080"), false, 7}, "a TCP listener"},
		{row("127.0.0.1:8080", "127.0.0.1:9", "01", 7), false, false, socket{}, "an established connection"},
		{row("127.0.0.1:8080", "127.0.0.1:9", "06", 0), false, false, socket{}, "TIME_WAIT"},
		{row("[::1]:53", "[::]:0", "07", 8), true, true, socket{netip.MustParseAddrPort("[::1]:53"), false, 8},
			"a bound UDP socket"},
		{row("10.0.0.1:53", "10.0.0.2:99", "01", 8), true, true,
			socket{netip.MustParseAddrPort("10.0.0.1:53"), true, 8}, "a connected UDP socket"},
		{row("[::ffff:10.0.0.1]:1", "[::]:0", "0A", 9), false, true,
			socket{netip.MustParseAddrPort("10.0.0.1:1"), false, 9}, "a mapped address"},
		{row("[2001:db8:1:2:3:4:5:6]:65535", "[::]:0", "0A", 9), false, true,
			socket{netip.MustParseAddrPort("[2001:db8:1:2:3:4:5:6]:65535"), false, 9},
			"every word of IPv6 in its order"},
	} {
		got, ok, err := parseSocket(tt.row, tt.udp)
		if err != nil || ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: got %v, %v, %v, want %v, %v", tt.reason, got, ok, err, tt.want, tt.ok)
		}
	}
	for _, tt := range []struct{ row, reason string }{
		{"", "empty"},
		{"0: 0100007F:1F90 00000000:0000 0A", "too short"},
		{strings.Replace(row("127.0.0.1:8080", "0.0.0.0:0", "0A", 7), "1F90", "1F90F", 1), "a port of 17 bits"},
		{strings.Replace(row("127.0.0.1:8080", "0.0.0.0:0", "0A", 7), ":1F90", "", 1), "no port"},
		{strings.Replace(row("127.0.0.1:8080", "0.0.0.0:0", "0A", 7), ":1F90", "00:1F90", 1), "an address of 5 bytes"},
		{strings.Replace(row("127.0.0.1:8080", "0.0.0.0:0", "0A", 7), " 7 ", " -7 ", 1), "a negative inode"},
	} {
		if got, _, err := parseSocket(tt.row, false); err == nil {
			t.Errorf("%s: %q parses as %v", tt.reason, tt.row, got)
		}
	}
}

func TestReachedAt_BestMatch(t *testing.T) {
	for _, tt := range []struct {
		sockets []string // by inode from 1 on; "connected " before the address of a connected UDP socket
		addr    string
		want    []uint64
		reason  string
	}{
		{[]string{"0.0.0.0", "127.0.0.1", "::"}, "127.0.0.1", []uint64{2}, "exact before wildcard"},
		{[]string{"0.0.0.0", "::"}, "127.0.0.1", []uint64{1},
			"the family's own wildcard first, the other may be IPV6_V6ONLY"},
		{[]string{"::"}, "127.0.0.1", []uint64{1}, "a dual-stack wildcard"},
		{[]string{"::", "0.0.0.0"}, "::1", []uint64{1}, "IPv6 is served by IPv6 only"},
		{[]string{"0.0.0.0"}, "::1", nil, "IPv4 does not serve IPv6"},
		{[]string{"127.0.0.2"}, "127.0.0.1", nil, "another address"},
		{[]string{"127.0.0.1", "0.0.0.0", "127.0.0.1"}, "127.0.0.1", []uint64{1, 3}, "SO_REUSEPORT"},
		{[]string{"connected 127.0.0.1", "0.0.0.0"}, "127.0.0.1", []uint64{2},
			"a connected UDP socket hears its peer only"},
		{[]string{"connected 127.0.0.1", "::"}, "127.0.0.1", []uint64{2}, "even before the last of the wildcards"},
		{[]string{"connected 127.0.0.1", "connected 0.0.0.0"}, "127.0.0.1", []uint64{1}, "but better than none"},
		{nil, "127.0.0.1", nil, "no listener"},
	} {
		table := make(socketTable)
		for i, s := range tt.sockets {
			local, connected := strings.CutPrefix(s, "connected ")
			table[80] = append(table[80], socket{netip.AddrPortFrom(netip.MustParseAddr(local), 80), connected,
				uint64(i + 1)})
		}
		if got := table.reachedAt(netip.MustParseAddr(tt.addr), 80); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v at %s reaches %v, want %v", tt.reason, tt.sockets, tt.addr, got, tt.want)
		}
		if got := table.reachedAt(netip.MustParseAddr(tt.addr), 81); got != nil {
			t.Errorf("%s: the next port reaches %v", tt.reason, got)
		}
	}
}

func FuzzParseSocket(f *testing.F) {
	f.Add(row("127.0.0.1:8080", "0.0.0.0:0", "0A", 7), false)
	f.Add(row("[::1]:53", "[::]:0", "07", 8), true)
	f.Add("sl", false)
	f.Fuzz(func(t *testing.T, s string, udp bool) {
		got, ok, err := parseSocket(s, udp)
		if ok && (err != nil || !got.local.IsValid() || got.local.Addr().Is4In6()) {
			t.Errorf("parseSocket(%q) = %v, %v", s, got, err)
		}
		if ok {
			remote := "0.0.0.0:0"
			state := "0A"
			if udp {
				state = "07"
			}
			if got.connected {
				remote = "0.0.0.0:1"
				if !udp {
					return // no listener has a remote end; the kernel prints none
				}
				state = "01"
			}
			again, ok, err := parseSocket(row(got.local.String(), remote, state, 1), udp)
			again.inode = got.inode
			if err != nil || !ok || again != got {
				t.Errorf("parseSocket(%q) = %v, again %v, %v", s, got, again, err)
			}
		}
	})
}
