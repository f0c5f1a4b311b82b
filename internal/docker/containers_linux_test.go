package docker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestContainers_ShortLived(t *testing.T) {
	r := newRig(t)
	network, id := r.network("fast")
	const n = 10
	before := monotonicNow()
	for i := range n {
		r.docker("run", "--rm", "--name", fmt.Sprintf("%sfast%d", prefix, i), "--network", network, "--network-alias",
			"orders-db",
			"--label", LabelRecording+"=one", "--label", "org.testcontainers.sessionId=s1", r.image, "exit")
	}
	after := monotonicNow()
	for i := range n {
		c := r.named(fmt.Sprintf("fast%d", i))
		if !c.IsNew || c.Missed != "" || c.Removed == 0 || c.Image != r.image || c.Labels[LabelRecording] != "one" ||
			c.Session != "s1" || c.Command != "/program exit" || c.NetworkMode != network {
			t.Errorf("container is %+v", c)
		}
		if len(c.Networks) != 1 {
			t.Fatalf("networks are %+v", c.Networks)
		}
		a := c.Networks[0]
		if a.Network != network || a.NetworkID != id || len(a.Addrs) != 1 ||
			!slices.Contains(a.Aliases, "orders-db") {
			t.Errorf("attachment is %+v", a)
		}
		times := []time.Duration{before, c.Created, a.From, c.Started, c.Ended, c.Removed, after}
		if !slices.IsSorted(times) {
			t.Errorf("times are not in order: %v", times)
		}
		if a.Until < a.From || a.Until > c.Removed {
			t.Errorf("attachment lasts from %v until %v, the container ended at %v", a.From, a.Until, c.Ended)
		}
		if got := Name(c); got != "orders-db" {
			t.Errorf("name is %q", got)
		}
		at, ok := r.w.OwnerAt(a.Addrs[0], nil, c.Started)
		if !ok || at.ID != c.ID {
			t.Errorf("%v was of %s at %v, want %s", a.Addrs[0], at.Name, c.Started, c.Name)
		}
		if at, ok := r.w.OwnerAt(a.Addrs[0], nil, c.Removed+time.Nanosecond); ok && at.ID == c.ID {
			t.Error("a container that is gone still has its address")
		}
	}
}

func TestContainers_StartedBeforeWatch(t *testing.T) {
	first := newRig(t)
	id := first.run("before", "--publish", "127.0.0.1::80/tcp")
	r := newRig(t)
	c := r.container(id)
	if c.IsNew || c.Created == 0 || c.Started == 0 || c.Ended != 0 || len(c.Networks) != 1 || len(c.Published) != 1 ||
		c.NetworkMode != first.home {
		t.Fatalf("container is %+v", c)
	}
	if c.Networks[0].From != 0 || c.Published[0].From != 0 {
		t.Errorf("it had its address and port before: %+v, %+v", c.Networks, c.Published)
	}
	if c, ok := r.w.OwnerAt(c.Networks[0].Addrs[0], nil, 1); !ok || c.ID != id {
		t.Errorf("%v is of %+v", c.Networks[0].Addrs[0], c)
	}
	seen := first.container(id)
	if d := (seen.Started - c.Started).Abs(); d > time.Second {
		t.Errorf("it started at %v by its inspection, at %v by its event", c.Started, seen.Started)
	}
}

func TestContainers_TwoNetworks(t *testing.T) {
	r := newRig(t)
	front, frontID := r.network("front")
	back, backID := r.network("back")
	id := r.run("two", "--network", front, "--network-alias", "web")
	r.docker("network", "connect", "--alias", "api", back, id)
	c := r.container(id)
	if len(c.Networks) != 2 || c.Networks[0].NetworkID != frontID || c.Networks[1].NetworkID != backID ||
		!slices.Contains(c.Networks[1].Aliases, "api") {
		t.Fatalf("networks are %+v", c.Networks)
	}
	r.docker("network", "disconnect", front, id)
	left := monotonicNow()
	c = r.container(id)
	if a := c.Networks[0]; a.Until == 0 || a.Until > left || len(a.Addrs) != 1 || !slices.Contains(a.Aliases, "web") {
		t.Errorf("the network that it left is %+v", a)
	}
	if a := c.Networks[1]; a.Until != 0 {
		t.Errorf("the network that it is in is %+v", a)
	}
	if got := Name(c); got != "web" {
		t.Errorf("name is %q: it was created as web", got)
	}
	addr := c.Networks[1].Addrs[0]
	for reason, networks := range map[string][]string{"the host": nil, "a neighbour": {backID},
		"a container elsewhere": {frontID}} {
		if got, ok := r.w.OwnerAt(addr, networks, left); !ok || got.ID != id {
			t.Errorf("%s asks: %v", reason, got.Name)
		}
	}
}

func TestContainers_ReusedAddress(t *testing.T) {
	r := newRig(t)
	network, networkID := r.network("reuse")
	first := r.run("first", "--network", network)
	addr := r.container(first).Networks[0].Addrs[0]
	during := monotonicNow()
	r.docker("rm", "--force", first)
	between := monotonicNow()
	second := r.run("second", "--network", network)
	after := monotonicNow()
	if got := r.container(second).Networks[0].Addrs[0]; got != addr {
		t.Fatalf("Docker gave the second container %v, not %v again", got, addr)
	}
	for _, c := range []struct {
		reason string
		at     time.Duration
		want   string
	}{{"the first lives", during, first}, {"no owner", between, ""}, {"the second lives", after, second}} {
		if got, _ := r.w.OwnerAt(addr, []string{networkID}, c.at); got.ID != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got.ID, c.want)
		}
	}
	if got, _ := r.w.OwnerNear(addr, nil, between); got.ID != first {
		t.Errorf("%v between the two is %q's, not the first's", addr, got.Name)
	}
}

func TestContainers_RenameAndPause(t *testing.T) {
	r := newRig(t)
	id := r.run("old")
	r.docker("pause", id)
	r.docker("rename", prefix+"old", prefix+"new")
	r.Cleanup(func() { r.remove("new") })
	if c := r.container(id); c.Name != prefix+"new" || c.Ended != 0 || c.Networks[0].Until != 0 || c.Missed != "" {
		t.Errorf("container is %+v", c)
	}
	r.docker("unpause", id)
}

func TestNetworkOwner_SharedNetworks(t *testing.T) {
	r := newRig(t)
	host, none := r.run("host", "--network", "host"), r.run("none", "--network", "none")
	main := r.run("main")
	sidecar := r.run("sidecar", "--network", "container:"+prefix+"main")
	onHost := r.run("onhost", "--network", "container:"+host)
	r.sync()
	for _, c := range []struct {
		reason, id string
		host       bool
		owner      string
	}{
		{"the host's", host, true, host},
		{"none", none, false, none},
		{"its own", main, false, main},
		{"another's", sidecar, false, main},
		{"that of one on the host's", onHost, true, host},
		{"one that does not exist", "x", false, "x"},
	} {
		if got := r.w.OnHostNetwork(c.id); got != c.host {
			t.Errorf("%s: on the host's: %v", c.reason, got)
		}
		if got := r.w.NetworkOwner(c.id); got != c.owner {
			t.Errorf("%s: the owner of its network is %q", c.reason, got)
		}
	}
	for _, id := range []string{host, none, sidecar, onHost} {
		if c := r.container(id); c.Missed != "" {
			t.Errorf("%s: %s", c.Name, c.Missed)
		}
	}
}

func TestNetworkOwner_LongChain(t *testing.T) {
	r := newRig(t)
	first := r.run("link0")
	last := first
	for i := range 12 {
		last = r.run(fmt.Sprintf("link%d", i+1), "--network", "container:"+last)
	}
	r.sync()
	if got := r.w.NetworkOwner(last); got != first {
		t.Errorf("the last one uses the network of %s, want that of %s", r.container(got).Name, r.container(first).Name)
	}
	if got := r.w.NetworkOwner(first); got != first {
		t.Errorf("the first one uses the network of %s, want its own", r.container(got).Name)
	}
}

func TestContainers_NeverStarted(t *testing.T) {
	r := newRig(t)
	id := r.make("created", "create")
	if c := r.container(id); !c.IsNew || c.Started != 0 || len(c.Networks) != 0 || c.Missed != "" {
		t.Errorf("container is %+v", c)
	}
	r.docker("rm", id)
	if c := r.container(id); c.Removed == 0 {
		t.Errorf("container is %+v", c)
	}
}

func TestContainers_Restarted(t *testing.T) {
	r := newRig(t)
	network, _ := r.network("loop")
	r.Cleanup(func() { r.remove("loop") })
	id := r.docker("run", "--detach", "--restart", "always", "--name", prefix+"loop", "--network", network, "--publish",
		"127.0.0.1::80", r.image, "exit")
	for until := time.Now().Add(patience); r.container(id).Networks == nil ||
		len(r.container(id).Networks) < 5; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not start five times")
		}
	}
	r.docker("rm", "--force", id)
	c := r.container(id)
	if c.Missed != "" || c.Removed == 0 {
		t.Errorf("container is %+v", c)
	}
	for i, a := range c.Networks {
		if len(a.Addrs) != 1 || a.Until == 0 || i > 0 && a.From < c.Networks[i-1].Until {
			t.Errorf("start %d: %+v", i, a)
		}
	}
	if len(c.Published) != len(c.Networks) {
		t.Errorf("%d starts published %d ports", len(c.Networks), len(c.Published))
	}
}

func TestContainers_IPv6Network(t *testing.T) {
	r := newRig(t)
	network, _ := r.network("six", "--ipv6", "--subnet", "2001:db8:6e7a::/64")
	id := r.run("six", "--network", network)
	a := r.container(id).Networks[0]
	if len(a.Addrs) != 2 || !a.Addrs[0].Is4() || !netip.MustParsePrefix("2001:db8:6e7a::/64").Contains(a.Addrs[1]) {
		t.Fatalf("attachment is %+v", a)
	}
	for _, addr := range a.Addrs {
		if c, ok := r.w.OwnerAt(addr, nil, monotonicNow()); !ok || c.ID != id {
			t.Errorf("%v is of %q", addr, c.Name)
		}
	}
}
