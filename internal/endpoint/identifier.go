package endpoint

import (
	"net/netip"
	"os"
	"slices"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Config configures an Identifier.
type Config struct {
	Self     int    // the test process; 0 is this process
	Peers    Peers  // the user's Peer options
	Workload string // the name of the recording's workload, which includes Self

	// domains of the clusters from which the test's names come, in addition to cluster.local; lower case
	ClusterDomains []string
}

// Identifier identifies destinations. It is safe for concurrent use.
type Identifier struct {
	config    Config
	ephemeral portRange
	resolvers Resolvers
}

// New returns an Identifier.
func New(c Config) *Identifier {
	if c.Self == 0 {
		c.Self = os.Getpid()
	}
	return &Identifier{config: c, ephemeral: machinePorts()}
}

// Peer returns the user's option for an address; the zero Peer if none matches.
func (id *Identifier) Peer(addr netip.Addr, port uint16) Peer {
	return id.config.Peers.Match(normal(addr), port, "")
}

// Ephemeral reports whether the kernel may have chosen this port of the machine.
func (id *Identifier) Ephemeral(port uint16) bool { return id.ephemeral.has(port) }

// Identify identifies the destination of one query from the current state. For many queries see [Identifier.Batch].
func (id *Identifier) Identify(q Query) Identity { return id.Batch().Identify(q) }

// Batch returns a value that answers any number of queries from one reading of sockets, interfaces and processes. All
// of its queries must be about events before the first query: it does not see later ones.
func (id *Identifier) Batch() *Batch {
	return &Batch{id: id, listeners: make(map[string]*listenerTable)}
}

// Batch answers queries from one reading of this machine. It is not safe for concurrent use.
type Batch struct {
	id          *Identifier
	listeners   map[string]*listenerTable // by network namespace; nil if they are unreadable
	local       localAddrs
	localIn     map[string]localAddrs // by other network namespace; nil if they are unreadable
	descendants []int
	walked      bool                   // descendants has been read
	configured  map[int]netip.AddrPort // the API server in a process's environment, by pid
	err         error
}

// Err returns an error if data was unreadable on which answers depended.
func (b *Batch) Err() error { return b.err }

func (b *Batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Identify identifies a destination. In this order, first match wins:
//
//   - a Peer with a port, also on loopback: the user's option;
//   - the API server, if the environment of the connecting process names it (KUBERNETES_SERVICE_HOST);
//   - a resolver: port 53 of loopback or of a name server in the process's resolv.conf;
//   - an address of this machine: the process that listens there. It is Self for a child that connects to itself, and
//     if only the test process listens. For a container with its own network, loopback is Self, and the test process
//     is another workload. The program kube-apiserver is the API server;
//   - a Peer without a port;
//   - the DNS name that was looked up: a workload for a name of the cluster, otherwise an external host, which the
//     manifests may identify further;
//   - the bare address.
//
// At an address of this machine without a listener, or with an unknown one, a Peer without a port counts too. Without
// one the result is NoListener, or the bare address, so that it stays visible.
//
// The port is the dialed one, unless the Peer names the real one. It is ephemeral if the policy would contain a port of
// this machine that the kernel may have chosen, because no option names the destination.
func (b *Batch) Identify(q Query) Identity {
	addr := normal(q.Addr)
	peer := b.id.config.Peers.Match(addr, q.Port, q.Name)
	found := Identity{Port: q.Port, Local: b.isLocalTo(q, addr) && !(q.OwnNetwork && addr.IsLoopback())}
	if q.Container && found.Local && !peer.Exact() {
		// The same server, as the test process reaches it.
		if at := b.id.Peer(netip.AddrFrom4([4]byte{127, 0, 0, 1}), q.Port); at.Exact() {
			peer = at
		}
	}
	found.Endpoint, found.Relation = b.resolve(q, addr, peer, &found)
	if found.Relation != Other {
		return found
	}
	if found.Endpoint.Evidence == flow.ByOption {
		found.Peer = peer
	}
	switch {
	case !q.Protocol.HasPorts():
	case found.Peer.PodPort != 0:
		found.Port = found.Peer.PodPort
	case found.Endpoint.Kind == flow.APIServer:
		if b.isLocalTo(q, addr) {
			found.Port = APIServerPort(q.Port)
		}
	default:
		found.Ephemeral = b.id.ephemeral.has(q.Port) && b.isLocalTo(q, addr)
	}
	return found
}

// resolve finds the endpoint. An endpoint of another workload with flow.ByOption as its evidence is the peer.
func (b *Batch) resolve(q Query, addr netip.Addr, peer Peer, found *Identity) (flow.Endpoint, Relation) {
	named := b.id.OfPeer(peer, addr)
	if peer.Exact() {
		return named, Other
	}
	if b.isConfigured(q, addr) {
		return apiServer("", addr, flow.ByEnvironment), Other
	}
	if q.Protocol.HasPorts() && b.id.resolvers.isResolver(q.PID, addr, q.Port) {
		resolver := flow.ClusterResolver
		resolver.Addr, resolver.Evidence = addr, flow.ByResolvConf
		return resolver, Other
	}
	bare := flow.Endpoint{Kind: flow.Address, Addr: addr}
	if q.OwnNetwork && addr.IsLoopback() {
		return bare, Self
	}
	if found.Local {
		switch end, relation := b.onThisMachine(q, addr, found); {
		case relation == Self, end.Kind == flow.Workload, end.Kind == flow.APIServer:
			return end, relation
		case peer != Peer{}:
			return named, Other
		default:
			return bare, relation
		}
	}
	switch {
	case peer != Peer{}:
		return named, Other
	case q.Name != "":
		return b.id.byName(q.PID, q.Name, addr), Other
	}
	return bare, Other
}

// onThisMachine finds the listener at one of this machine's addresses. A workload's endpoint and Self are final. The
// other relations have no name: Other if an unnamed process listens, NoListener if none does.
func (b *Batch) onThisMachine(q Query, addr netip.Addr, identity *Identity) (flow.Endpoint, Relation) {
	self := flow.Endpoint{Kind: flow.Workload, Name: b.id.config.Workload, Evidence: flow.ByOption}
	if q.MaybeOtherNetwork && !addr.IsLoopback() && !b.isHere(q.PID) {
		return flow.Endpoint{}, Other // the address may be another host's there
	}
	if q.Protocol == flow.ICMP || q.Protocol == flow.ICMPv6 {
		return self, Self // the kernel answers, and would in the pod
	}
	found := b.listenersAt(q, addr)
	if len(found.Owners) == 0 {
		if found.Unknown {
			identity.Hidden, identity.ListenerCgroup = true, cgroupOf(q.Protocol, found.Hidden)
			return flow.Endpoint{}, Other
		}
		return flow.Endpoint{}, NoListener
	}
	identity.Listener = found.Owners[0]
	onlyTest := true
	for _, owner := range found.Owners {
		// The test process may keep open a listener that it made for a child; then the child is the server.
		if owner.PID == q.PID && q.PID != b.id.config.Self {
			return self, Self
		}
		onlyTest = onlyTest && owner.PID == b.id.config.Self
	}
	switch {
	case onlyTest && q.Container:
		identity.Test = true
		self.Addr, self.Evidence = addr, flow.ByListener
		return self, Other
	case onlyTest:
		return self, Self
	}
	name := ""
	for _, owner := range found.Owners {
		l := Label(owner.Name)
		if owner.PID != b.id.config.Self && l != "" && (name == "" || l < name) {
			name, identity.Listener = l, owner
		}
	}
	if name == "" {
		return flow.Endpoint{}, Other
	}
	if IsAPIServerProgram(identity.Listener.Name) {
		return apiServer("", addr, flow.ByListener), Other
	}
	return flow.Endpoint{
		Kind: flow.Workload, Name: name, Addr: addr, Evidence: flow.ByListener,
		Node: b.isNode(q, addr, identity.Listener.PID),
	}, Other
}

// isNode reports whether a listener is the node for a container. It is if the test did not start the process, the
// container has its own network, and it reaches the process at an address of the machine other than loopback.
func (b *Batch) isNode(q Query, addr netip.Addr, listener int) bool {
	return q.Container && q.OwnNetwork && !addr.IsLoopback() && !slices.Contains(b.descendants, listener) &&
		!slices.ContainsFunc(q.Bound, func(o Owner) bool { return o.PID == listener })
}

// isLocalTo reports whether the connecting process sees the address as local. In another network namespace only the
// interfaces there count; an address of the test process's namespace may be another host's.
func (b *Batch) isLocalTo(q Query, addr netip.Addr) bool {
	if !q.OtherNetwork || addr.IsLoopback() {
		return b.isLocal(addr)
	}
	namespace, known := b.namespaceOf(q)
	if !known {
		return false // the process is gone, or only a thread was there: the owner of the address is unknown
	}
	local, read := b.localIn[namespace]
	if !read {
		local = readLocalAddrsOf(q.PID)
		if b.localIn == nil {
			b.localIn = make(map[string]localAddrs)
		}
		b.localIn[namespace] = local
	}
	return local.has(addr)
}

// namespaceOf returns the network namespace of a process that connected from another one than the test process's; false
// if it is no longer known.
func (b *Batch) namespaceOf(q Query) (namespace string, known bool) {
	if q.PID == 0 || !alive(q.PID) {
		return "", false
	}
	namespace = networkOf(q.PID)
	return namespace, namespace != networkOf(b.id.config.Self)
}

// isHere reports whether a process is alive and in the test process's network namespace. It is false if the process is
// gone or unknown.
func (b *Batch) isHere(pid int) bool {
	return pid != 0 && alive(pid) && networkOf(pid) == networkOf(b.id.config.Self)
}

// isLocal reports whether an address is local to this machine. It reads the interfaces only for addresses other than
// loopback.
func (b *Batch) isLocal(addr netip.Addr) bool {
	if b.local == nil && !addr.IsLoopback() {
		var err error
		if b.local, err = readLocalAddrs(); err != nil {
			b.local = localAddrs{}
			b.fail(err)
		}
	}
	return b.local.has(addr)
}
