package probe

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/netzero-dev/netzero/internal/cgroup"
)

func TestSmoke(t *testing.T) {
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(tree.Root, Sizes{}, func(e Event) { fmt.Printf("%T %+v\n", e, e) })
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer p.Close()
	leaf, err := cgroup.NewLeaf(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { fmt.Println(leaf.Leave()) }()
	p.Watch(leaf.ID)
	leaf.Move(os.Getpid())
	self, err := p.Check(leaf.ID)
	fmt.Println(self, os.Getpid(), p.level, err)
	p.NextGeneration()
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	for range 3 {
		net.Dial("tcp", l.Addr().String())
	}
	u, _ := net.ListenPacket("udp", "127.0.0.1:0")
	c, _ := net.Dial("udp", u.LocalAddr().String())
	c.Write([]byte("x"))
	b := make([]byte, 10)
	_, a, _ := u.ReadFrom(b)
	u.WriteTo(b, a)
	fmt.Println(p.Sync())
	for k, n := range p.Counts() {
		fmt.Println(k, n)
	}
	fmt.Println(p.Lost())
}
