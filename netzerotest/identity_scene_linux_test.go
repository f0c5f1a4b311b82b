package netzerotest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A scene holds the input of one recording from the kernel, the engine and the user, for a row of docs/identity.md. The
// kernel's part is simulated. Everything after it runs as in a real recording.
type scene struct {
	options    []Option          // in addition to Workload("checkout")
	manifests  string            // YAML
	env        map[string]string // of the test process
	containers []sceneContainer
	dials      []dial
	running    bool   // the containers ran before the recording began
	golden     string // the rules of the committed egress policy, as YAML; "" if there is none
}

// A sceneContainer holds a container's data from the engine and from the test.
type sceneContainer struct {
	alias            string // its alias in network shop; the engine's name is shop-ALIAS-1
	image            string // default netzero/ALIAS
	exposes          []uint16
	published        map[uint16]uint16 // from ports of the machine to the container's
	localPorts       string            // its own net.ipv4.ip_local_port_range
	network          string            // "container:NAME" to share that container's network; default shop
	healthCheck      string
	isPeer, notGiven bool // passed to AsPeer; not passed to the recording
	waited           bool // testcontainers waits for it
}

func (c sceneContainer) name() string { return "shop-" + c.alias + "-1" }

// A dial is a flow in the form that the kernel reports.
type dial struct {
	from     string // the alias of a container; "" is the test process
	addr     string // "CONTAINER" and a number for that container's address; "" for a name without an address
	port     uint16
	protocol flow.Protocol // default TCP
	icmpType uint8
	name     string       // the DNS name that was looked up
	listener string       // the executable of the process that listens at an address of this machine
	process  flow.Process // the initiator
}

const (
	sceneLeaf   = 1       // the test's own cgroup
	sceneOthers = 4 << 20 // an unused process id
)

func (s scene) id(i int) string { return strings.Repeat(fmt.Sprintf("%x", i+1), 64) }

func (s scene) addrOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 89, 77, byte(i + 2)}) }

// cgroupOf returns the cgroup of a container by its alias.
func (s scene) cgroupOf(alias string) uint64 {
	i := slices.IndexFunc(s.containers, func(c sceneContainer) bool { return c.alias == alias })
	return uint64(100 + i)
}

// engine serves an engine's answers for the containers, and returns a watcher of that engine.
func (s scene) engine(t *testing.T) *docker.Watcher {
	t.Helper()
	type object = map[string]any
	started := time.Now().Format(time.RFC3339Nano)
	list, inspected := []object{}, make(map[string]object)
	for i, c := range s.containers {
		id, network := s.id(i), c.network
		networks := object{"shop": object{
			"NetworkID": "netshop", "EndpointID": "e" + id, "IPAddress": s.addrOf(i).String(), "Aliases": []string{c.alias},
		}}
		if network == "" {
			network = "shop"
		} else {
			networks = object{}
		}
		image := c.image
		if image == "" {
			image = "netzero/" + c.alias
		}
		exposed, published, sysctls := object{}, object{}, object{}
		for _, port := range c.exposes {
			exposed[fmt.Sprintf("%d/tcp", port)] = object{}
		}
		for at, port := range c.published {
			published[fmt.Sprintf("%d/tcp", port)] = []object{{"HostIp": "0.0.0.0", "HostPort": fmt.Sprint(at)}}
			exposed[fmt.Sprintf("%d/tcp", port)] = object{}
		}
		if c.localPorts != "" {
			sysctls["net.ipv4.ip_local_port_range"] = c.localPorts
		}
		config := object{"Image": image, "Labels": object{}, "ExposedPorts": exposed}
		if c.healthCheck != "" {
			config["Healthcheck"] = object{"Test": append([]string{"CMD"}, strings.Fields(c.healthCheck)...)}
		}
		list = append(list, object{
			"Id": id, "Names": []string{"/" + c.name()}, "Image": image, "State": "running", "Created": time.Now().Unix(),
			"HostConfig": object{"NetworkMode": network}, "NetworkSettings": object{"Networks": networks},
		})
		inspected[id] = object{
			"Id": id, "Name": "/" + c.name(), "Path": "serve", "Created": started,
			"State": object{"Running": true, "StartedAt": started}, "Config": config,
			"HostConfig":      object{"NetworkMode": network, "Sysctls": sysctls},
			"NetworkSettings": object{"Networks": networks, "Ports": published},
		}
	}
	mux := http.NewServeMux()
	answer := func(path string, v any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.47")
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(v); err != nil {
				t.Error(err)
			}
		})
	}
	answer("/_ping", "OK")
	answer("/{api}/version", object{"Version": "27.0.0", "ApiVersion": "1.47"})
	answer("/{api}/info", object{
		"OSType": "linux", "CgroupDriver": "systemd", "CgroupVersion": "2", "SystemTime": time.Now().Format(time.RFC3339Nano),
	})
	answer("/{api}/networks", []object{})
	answer("/{api}/containers/json", list)
	for id, c := range inspected {
		answer("/{api}/containers/"+id+"/json", c)
	}
	mux.HandleFunc("/{api}/events", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		if r.URL.Query().Get("until") == "" {
			<-r.Context().Done()
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w, err := docker.Watch(t.Context(), docker.Config{Host: "tcp://" + server.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := w.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// A sceneResult is the output of a dialect for a scene.
type sceneResult struct {
	flows   []Flow
	scope   policy.Scope
	file    *golden.File // the committed policies; nil if there are none
	notices []string
	err     error

	recording recording.File // without Golden, because the file is a temporary one
}

// play runs a scene through all steps after the kernel, up to the generated policies.
func (s scene) play(t *testing.T, cilium bool) sceneResult {
	t.Helper()
	for key, value := range s.env {
		t.Setenv(key, value)
	}
	var isDriver config
	for _, o := range s.options {
		if err := o.apply(&isDriver); err != nil {
			return sceneResult{err: err}
		}
	}
	options := s.options
	if !isDriver.placement.Ignored.Driver {
		options = append([]Option{Workload("checkout")}, options...)
	}
	if cilium {
		options = append(slices.Clone(options), Cilium())
	}
	cfg, err := newConfig(options)
	if err != nil {
		return sceneResult{err: err}
	}
	cfg.placement.Manifests = manifesttest.Read(t, s.manifests)
	r := &Recording{tb: testRun{t}, config: cfg, golden: filepath.Join(t.TempDir(), "golden.yaml")}
	recorded, err := s.record(t, r)
	var out sceneResult
	if s.golden != "" {
		out.file = s.commit(t, r)
	}
	out.recording = check.RecordingFile(recorded, err, check.Result{}, r.checkOptions())
	out.recording.Golden = ""
	if err != nil {
		out.notices, out.err = recording.Texts(recorded.Notices), err
		return out
	}
	placed, err := check.Place(recorded, r.checkOptions())
	out.flows, out.scope, out.err = placed.Flows, placed.Scope, err
	out.notices = recording.Texts(slices.Concat(placed.Notices, recorded.Notices))
	return out
}

// commit writes the committed policy to a file and reads it back.
func (s scene) commit(t *testing.T, r *Recording) *golden.File {
	t.Helper()
	text := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: checkout}\n" +
		"spec: {podSelector: {matchLabels: {app: checkout}}, policyTypes: [Egress], egress: [%s]}\n"
	if r.config.placement.Cilium {
		text = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: checkout}\n" +
			"spec: {endpointSelector: {matchLabels: {'k8s:app': checkout}}, egress: [%s]}\n"
	}
	rules := s.golden
	if r.config.placement.Cilium {
		rules = strings.ReplaceAll(rules, "podSelector: {matchLabels: {app: ftp}}", "matchLabels: {'k8s:app': ftp}")
		rules = strings.ReplaceAll(rules, "{to: ", "{toEndpoints: ")
		rules = strings.ReplaceAll(rules, "ports: [{port: 43000, endPort: 43999}]",
			"toPorts: [{ports: [{port: '43000', endPort: 43999}]}]")
	}
	if err := os.WriteFile(r.golden, fmt.Appendf(nil, text, rules), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := golden.Read(r.golden)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// record returns the recorder's result for the scene.
func (s scene) record(t *testing.T, r *Recording) (recording.Recording, error) {
	t.Helper()
	var engine *docker.Watcher
	var containers []recorder.SimulatedContainer
	if len(s.containers) > 0 {
		engine = s.engine(t)
	}
	for i, given := range s.containers {
		containers = append(containers, recorder.SimulatedContainer{
			ID: s.id(i), Cgroup: s.cgroupOf(given.alias), Attached: !given.notGiven, Peer: given.isPeer, Awaited: given.waited,
		})
	}
	simulation, err := recorder.NewSimulation(r.config.recorder(r.tb), sceneLeaf, engine, containers, s.running)
	if err != nil {
		return recording.Recording{}, err
	}
	for _, d := range s.dials {
		s.open(simulation, d)
	}
	return simulation.Resolve()
}

// dialled returns the address of a dial that has one.
func (s scene) dialled(d dial) netip.Addr {
	var number int
	if n, _ := fmt.Sscanf(d.addr, "CONTAINER%d", &number); n == 1 {
		return s.addrOf(number)
	}
	return netip.MustParseAddr(d.addr)
}

// open passes a dial to the recorder.
func (s scene) open(simulation *recorder.Simulation, d dial) {
	key := probe.Key{Cgroup: sceneLeaf, Port: d.port, Protocol: d.protocol, ICMPType: d.icmpType}
	e := &probe.FlowEvent{Key: key}
	if d.protocol == 0 {
		e.Protocol = flow.TCP
	}
	e.Process = d.process
	switch {
	case d.from != "":
		e.Cgroup, e.Netns = s.cgroupOf(d.from), s.cgroupOf(d.from)
	case e.Process.PID == 0 && e.Process.Name == "":
		e.Process.PID, e.Process.Name = os.Getpid(), "checkout.test"
	}
	if d.addr == "" { // a failed lookup
		simulation.Lookup(e, d.name)
		return
	}
	e.Addr = s.dialled(d)
	if d.listener != "" {
		owner := endpoint.Owner{PID: sceneOthers, Name: d.listener}
		if d.listener == "checkout.test" {
			owner.PID = os.Getpid()
		}
		simulation.Listen(e, owner)
	}
	simulation.Open(e, d.name)
}

// policyOf returns the policy of a workload after an update, in the words of docs/identity.md.
func (r sceneResult) policyOf(workload, shows string, cilium bool) []string {
	for _, p := range r.policies(cilium) {
		if p.GetName() != workload {
			continue
		}
		switch p := p.(type) {
		case *golden.CiliumNetworkPolicy:
			return shortCilium(p, shows)
		case *networkingv1.NetworkPolicy:
			return shortKubernetes(p, shows)
		}
	}
	return []string{"no policy"}
}

// policies returns the policies after an update.
func (r sceneResult) policies(cilium bool) []golden.Policy {
	dialect := policy.As[golden.Policy](networkpolicy.Dialect{Scope: r.scope})
	if cilium {
		dialect = policy.As[golden.Policy](ciliumpolicy.Dialect{Scope: r.scope})
	}
	if r.file != nil {
		return dialect.Merge(r.file.Policies, r.flows)
	}
	return dialect.Generate(r.flows)
}

// goldenOf returns the text of a golden file with these policies, or "" if the scene fails and nothing is written.
func goldenOf(t *testing.T, r sceneResult, policies []golden.Policy) string {
	t.Helper()
	if r.err != nil {
		return ""
	}
	text, err := golden.Format(golden.Header{Test: t.Name()}, policies)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// annotationsOf returns a policy's annotations of a direction, without netzero.dev/.
func annotationsOf(annotations map[string]string, prefix string) []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if name := strings.TrimPrefix(key, "netzero.dev/"); strings.HasPrefix(name, prefix) {
			all = append(all, name+": "+annotations[key])
		}
	}
	return all
}
