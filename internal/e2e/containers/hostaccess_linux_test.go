package containers

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

func init() {
	access := func(t *testing.T, role netzerotest.Option, more ...testcontainers.ContainerCustomizer) {
		image := require(t)
		port := echoAt(t, "localhost:"+os.Getenv("PORT"))
		options := []netzerotest.Option{role}
		if peer := os.Getenv("PEER"); peer != "" {
			options = append(options, netzerotest.Peer(fmt.Sprintf("localhost:%d", port), peer))
		}
		if ignored := os.Getenv("IGNORE"); ignored != "" {
			options = append(options, netzerotest.Ignore(ignored))
		}
		rec := record(t, options...)
		// Ports are forwarded when the container is ready, and not before.
		c := run(t, image, "wait", append(more, rec.As("client"), testcontainers.WithHostPortAccess(port))...)
		execute(t, c, "echo", fmt.Sprintf("%s:%d", testcontainers.HostInternal, port))
	}
	users["host access"] = func(t *testing.T) { access(t, netzerotest.Workload("checkout")) }
	// In a user-defined network sshd is an alias too, not only an entry in /etc/hosts.
	users["host access, driver"] = func(t *testing.T) { access(t, netzerotest.Driver(), in(newNetwork(t), "batch")) }
}

// echoAt makes the test process a server that echoes, and returns its port.
func echoAt(t *testing.T, address string) int {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// ownPort returns an unused port outside of the ephemeral range, for the user's process to listen at later. Other runs
// of these tests try other ports first.
func ownPort(t *testing.T) string {
	t.Helper()
	const first, number = 17200, 800
	for i := range number {
		port := strconv.Itoa(first + (os.Getpid()+i)%number)
		if l, err := net.Listen("tcp", "localhost:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// withSSHD returns an environment in which testcontainers uses our image as its sshd: it puts a prefix before all image
// names without a registry.
func withSSHD(t *testing.T) []string {
	t.Helper()
	prefix := fmt.Sprintf("netzero-test-%d", os.Getpid())
	for image, as := range map[string]string{testenv.Image(t, "sshd"): "testcontainers/sshd:1.4.0",
		require(t): require(t)} {
		docker(t, "tag", image, prefix+"/"+as)
		t.Cleanup(func() { docker(t, "rmi", prefix+"/"+as) })
	}
	return []string{"TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX=" + prefix}
}

// allows is the policy of a workload that may open one port of another.
func allows(name, to, port string) string {
	return strings.NewReplacer("NAME", name, "TO", to, "8443", port).Replace(`apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: NAME
spec:
  podSelector:
    matchLabels:
      app: NAME
  policyTypes:
  - Egress
  egress:
  - to:
    - podSelector:
        matchLabels:
          app: TO
    ports:
    - port: 8443
      protocol: TCP
  - to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
    ports:
    - port: 53
      protocol: TCP
    - port: 53
      protocol: UDP
`)
}

const deniesCheckout = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: checkout
spec:
  podSelector:
    matchLabels:
      app: checkout
  policyTypes:
  - Egress
`

// A port of the test process that testcontainers forwards to containers is the test process, not the sshd between them.
func TestHostAccess_IsTestProcess(t *testing.T) {
	env := withSSHD(t)
	port := ownPort(t)
	const isInfrastructure = `infrastructure, not in the policy: host access \(testcontainers' sshd\): \S+:22/TCP`
	tunnel := `payments:8443/TCP: testcontainers' host access also opens localhost:` + port + ` from the test process`
	for _, c := range []struct {
		reason, user, peer, ignored string
		tunnel                      bool
		want                        []string
	}{
		{reason: "the test process is a workload", user: "host access",
			want: []string{deniesCheckout, allows("client", "checkout", port)}},
		// The test process may dial the server for payments or the tunnel: both look the same.
		{reason: "Peer names its server", user: "host access", peer: "payments:8443", tunnel: true,
			want: []string{allows("checkout", "payments", "8443"), allows("client", "payments", "8443")}},
		{reason: "the tunnel's own flow is ignored", user: "host access", peer: "payments:8443", ignored: "localhost:8443",
			want: []string{deniesCheckout, allows("client", "payments", "8443")}},
		{reason: "with Driver, and Peer names its server", user: "host access, driver", peer: "payments:8443",
			want: []string{allows("client", "payments", "8443")}},
	} {
		u := newUser(t)
		runs := [][]string{{"-update"}}
		if c.peer == "" {
			runs = append(runs, nil) // the same once more
		}
		env := append(env[:len(env):len(env)], "PORT="+port, "PEER="+c.peer, "IGNORE="+c.ignored)
		for _, args := range runs {
			out, passed := u.testWith(env, c.user, args...)
			if !passed {
				t.Fatalf("%s: failed:\n%s", c.reason, out)
			}
			u.says(out, isInfrastructure)
			if c.tunnel {
				u.says(out, tunnel)
				u.says(out, `if checkout itself does not call payments, use Ignore\("localhost:8443"\)`)
			} else {
				u.saysNot(out, "from the test process too")
			}
		}
		golden := u.golden()
		if diff := cmp.Diff(strings.Join(c.want, "---\n"), golden[strings.Index(golden, "apiVersion:"):]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

func TestHostAccess_NeedsPeer(t *testing.T) {
	env := withSSHD(t)
	port := ownPort(t)
	for _, c := range []struct {
		reason, user, port, peer string
		passes                   bool
		says                     string
	}{
		{"the server of a driver has no name", "host access, driver", port, "", false,
			`client opens port ` + port +
				` of the test process, which is no workload \(Driver\): say what it stands for: Peer\("localhost:` + port +
				`", "name:8080"\)`},
		{"the kernel chose its port", "host access", "0", "", false,
			`checkout serves client at port \d+/TCP, which the kernel assigns .*: Peer\("localhost:\d+", "checkout:8080"\)`},
		{"Peer names no port for it", "host access", "0", "payments", false,
			`Peer\("localhost:\d+", "payments"\): port \d+ is ephemeral and changes with every run: ` +
				`say at which port the real payments serves`},
	} {
		u := newUser(t)
		out, passed := u.testWith(append(env[:len(env):len(env)], "PORT="+c.port, "PEER="+c.peer), c.user, "-update")
		if passed != c.passes {
			t.Errorf("%s: passed: %v\n%s", c.reason, passed, out)
		}
		u.says(out, strings.ReplaceAll(c.says, ".*", `[\s\S]*`))
		if _, err := os.Stat(filepath.Join(u.dir, "testdata")); (err == nil) != c.passes {
			t.Errorf("%s: is there a golden file: %v", c.reason, err == nil)
		}
	}
}
