package containers

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/netzerotest"
)

func init() {
	// A server that announces a second port over the first one, as passive FTP and RMI do.
	users["changing port"] = func(t *testing.T) {
		image := require(t)
		options := []netzerotest.Option{netzerotest.Driver()}
		if os.Getenv("CILIUM") != "" {
			options = append(options, netzerotest.Cilium())
		}
		if ports := os.Getenv("PORTS"); ports != "" {
			options = append(options, netzerotest.Ports(ports))
		}
		rec := record(t, options...)
		n := newNetwork(t)
		port := os.Getenv("PORT")
		server := []testcontainers.ContainerCustomizer{rec.As("ftp"), in(n, "ftp")}
		if exposed := os.Getenv("EXPOSED"); exposed != "" {
			server = append(server, testcontainers.WithExposedPorts(exposed))
		}
		if local := os.Getenv("LOCAL_PORTS"); local != "" {
			server = append(server, withHost(func(h *container.HostConfig) {
				h.Sysctls = map[string]string{"net.ipv4.ip_local_port_range": local}
			}))
		}
		run(t, image, "listen :21 :"+port+" then wait", server...)
		succeeded(t, run(t, image, "dial ftp:21 ftp:"+port, rec.As("client"), in(n), toEnd()))
	}
}

// No golden file contains a port that a container's kernel chose, neither in ingress rules nor in egress rules.
func TestPorts_EphemeralRejected(t *testing.T) {
	require(t)
	const refused = `ftp serves client at port 40017/TCP, which container \S+ \(netzero/peer\) does not expose, ` +
		`.*Ports\("ftp:30000-30009"\)`
	for _, row := range []struct {
		reason string
		env    []string
		says   string   // the output of a run that fails; it writes nothing
		golden []string // in the policies of client and ftp
	}{
		{"no option or image names it", []string{"PORT=40017"}, refused, nil},
		{"in Cilium", []string{"PORT=40017", "CILIUM=1"}, refused, nil},
		{"another one is exposed", []string{"PORT=40017", "EXPOSED=40018/tcp"}, refused, nil},
		{"of another protocol", []string{"PORT=40017", "EXPOSED=40017/udp"}, refused, nil},
		{"the namespace has a range of its own", []string{"PORT=17017", "LOCAL_PORTS=17000 17999"},
			`at port 17017/TCP, which container`, nil},
		{"it lies outside of that", []string{"PORT=40017", "LOCAL_PORTS=17000 17999"}, "",
			[]string{`- port: 40017 protocol: TCP`}},
		{"it is exposed", []string{"PORT=40017", "EXPOSED=40017/tcp"}, "", []string{`- port: 40017 protocol: TCP`}},
		{"below the range", []string{"PORT=17017"}, "", []string{`- port: 17017 protocol: TCP`}},
	} {
		u := newUser(t)
		out, passed := u.testWith(row.env, "changing port", "-update")
		if passed != (row.says == "") {
			t.Errorf("%s: passed: %v\n%s", row.reason, passed, out)
			continue
		}
		if row.says != "" {
			u.says(out, row.says)
			if _, err := os.Stat(filepath.Join(u.dir, "testdata")); err == nil {
				t.Errorf("%s: there is a golden file:\n%s", row.reason, u.golden())
			}
		}
		for _, rule := range row.golden {
			u.says(u.golden(), rule+`[\s\S]*`+rule) // egress of client, ingress of ftp
		}
	}
}

// A run with another port writes the same bytes if Ports gives the range.
func TestPorts_RangeIsStable(t *testing.T) {
	require(t)
	for _, row := range []struct{ dialect, env, rule string }{
		{"NetworkPolicy", "CILIUM=", `port: 40000 endPort: 40099 protocol: TCP`},
		{"CiliumNetworkPolicy", "CILIUM=1", `port: "40000" endPort: 40099 protocol: TCP`},
	} {
		var first string
		for _, port := range []string{"PORT=40017", "PORT=40018"} {
			u := newUser(t)
			env := []string{row.env, "PORTS=ftp:40000-40099", port}
			if out, passed := u.testWith(env, "changing port", "-update"); !passed {
				t.Fatalf("%s: failed:\n%s", row.dialect, out)
			}
			if first == "" {
				first = u.golden()
				u.says(first, row.rule+`[\s\S]*`+row.rule)
				if out, passed := u.testWith([]string{row.env, "PORTS=ftp:40000-40099", "PORT=40018"}, "changing port"); !passed {
					t.Errorf("%s: another port of the range fails:\n%s", row.dialect, out)
				}
				if out, passed := u.testWith([]string{row.env, "PORT=40018"}, "changing port"); !passed {
					t.Errorf("%s: a committed range does not do without the option:\n%s", row.dialect, out)
				}
			} else if got := u.golden(); got != first {
				t.Errorf("%s: two runs wrote\n%s\nand\n%s", row.dialect, first, got)
			}
		}
	}
}
