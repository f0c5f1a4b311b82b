package endpoint

import "testing"

func TestPorts_Ranges(t *testing.T) {
	for _, tt := range []struct {
		text   string
		want   portRange
		reason string
	}{
		{"32768\t60999\n", portRange{32768, 60999}, "as the kernel writes it"},
		{"1024 65535", portRange{1024, 65535}, "what busy machines set"},
		{"5000\t5000\n", portRange{5000, 5000}, "one port"},
		{"", defaultPorts, "nothing"},
		{"32768", defaultPorts, "one number"},
		{"1 2 3", defaultPorts, "three numbers"},
		{"60999 32768", defaultPorts, "the wrong way round"},
		{"1024 65536", defaultPorts, "beyond all ports"},
		{"a b", defaultPorts, "no numbers"},
	} {
		if got := parsePortRange(tt.text); got != tt.want {
			t.Errorf("%s: %q: got %v, want %v", tt.reason, tt.text, got, tt.want)
		}
	}
	for port, want := range map[uint16]bool{32767: false, 32768: true, 60999: true, 61000: false} {
		if got := defaultPorts.has(port); got != want {
			t.Errorf("port %d: got %v, want %v", port, got, want)
		}
	}
}

// A network namespace has the kernel's default range, whatever the machine's is, unless it was changed.
func TestPorts_OtherNamespace(t *testing.T) {
	for _, row := range []struct {
		ports string
		port  uint16
		want  bool
	}{
		{"", 32767, false},
		{"", 32768, true},
		{"", 60999, true},
		{"", 61000, false},
		{"17000 17999", 17000, true},
		{"17000\t17999", 17999, true},
		{"17000 17999", 40000, false},
		{"no range", 40000, true},
	} {
		if got := EphemeralIn(row.ports, row.port); got != row.want {
			t.Errorf("EphemeralIn(%q, %d) is %v", row.ports, row.port, got)
		}
	}
}
