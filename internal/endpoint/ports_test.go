package endpoint

import "testing"

func TestPortRanges(t *testing.T) {
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
