package endpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// meanwhile repeats do until the test ends.
func meanwhile(t *testing.T, do func()) {
	t.Helper()
	stop := make(chan bool)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				do()
			}
		}
	})
	t.Cleanup(func() { close(stop); done.Wait() })
}

// Sockets that are closed while a table is read shift later ones.
func TestTables_CompleteWhileSocketsChange(t *testing.T) {
	const kept = 400
	var ports []uint16
	for range kept {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ports = append(ports, uint16(c.LocalAddr().(*net.UDPAddr).Port))
	}
	meanwhile(t, func() {
		var some []net.PacketConn
		for range 50 {
			if c, err := net.ListenPacket("udp4", "127.0.0.1:0"); err == nil {
				some = append(some, c)
			}
		}
		for _, c := range some {
			c.Close()
		}
	})
	for range 30 {
		_, udp, err := readSockets(0)
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range ports {
			if len(udp[port]) == 0 {
				t.Fatalf("the socket at port %d is not in the table", port)
			}
		}
	}
}

// Addresses that go while they are listed shift later ones.
func TestAddresses_CompleteWhileOthersGo(t *testing.T) {
	testenv.RequireRoot(t)
	inOwnNetwork(t, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		address := func(third, i int) *netlink.Addr {
			return &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(198, 18, byte(third), byte(i)),
				Mask: net.CIDRMask(32, 32)}}
		}
		links, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer links.Close()
		for i := range 100 { // before the permanent ones
			if err := links.AddrAdd(lo, address(1, i)); err != nil {
				return err
			}
		}
		for i := range 500 {
			if err := links.AddrAdd(lo, address(2+i/250, i%250)); err != nil {
				return err
			}
		}
		i := 0
		meanwhile(t, func() {
			_ = links.AddrDel(lo, address(1, i%100))
			if i++; i%100 == 0 {
				for i := range 100 {
					_ = links.AddrAdd(lo, address(1, i))
				}
			}
		})
		for range 20 {
			local, err := readLocalAddrs()
			if errors.Is(err, errInterrupted) {
				continue // it reports the interruption
			}
			if err != nil {
				return err
			}
			for i := range 500 {
				if a := netip.AddrFrom4([4]byte{198, 18, byte(2 + i/250), byte(i % 250)}); !local.has(a) {
					return fmt.Errorf("%s is missing", a)
				}
			}
		}
		return nil
	})
}

// inOwnNetwork calls fn on a thread in a new network namespace.
func inOwnNetwork(t *testing.T, fn func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDump_IncompleteIsError(t *testing.T) {
	message := func(kind, flags uint16, body ...byte) string {
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		b = binary.NativeEndian.AppendUint16(b, flags)
		return string(append(append(b, make([]byte, 8)...), body...))
	}
	status := func(code int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(code)) }
	one, done := message(20, 0, []byte("one.")...), message(unix.NLMSG_DONE, 0, status(0)...)
	for _, row := range []struct {
		reason   string
		received []string
		flags    int
		want     error
		added    []string
	}{
		{"whole", []string{one + done}, 0, nil, []string{"one."}},
		{"in two parts", []string{one, one, done}, 0, nil, []string{"one.", "one."}},
		{"interrupted, told by a message", []string{message(20, unix.NLM_F_DUMP_INTR, []byte("two.")...), one + done},
			0,
			errInterrupted, []string{"two.", "one."}},
		{"interrupted, told at the end", []string{one + message(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, status(0)...)},
			0,
			errInterrupted, []string{"one."}},
		{"an error at the end", []string{one + message(unix.NLMSG_DONE, 0, status(-int32(unix.ENOMEM))...)}, 0,
			unix.ENOMEM, []string{"one."}},
		{"an error", []string{message(unix.NLMSG_ERROR, 0, status(-int32(unix.EPERM))...)}, 0, unix.EPERM, nil},
		{"longer than the buffer", []string{one + done}, unix.MSG_TRUNC, errAny, nil},
		{"no status", []string{message(unix.NLMSG_DONE, 0)}, 0, unix.EBADMSG, nil},
		{"longer than it is", []string{"\xff\x00\x00\x00" + one[4:]}, 0, errAny, nil},
	} {
		var added []string
		err := readDump(func(b []byte) (int, int, error) {
			n := copy(b, row.received[0])
			row.received = row.received[1:]
			return n, row.flags, nil
		}, func(m []byte) { added = append(added, strings.Clone(string(m))) })
		if !errors.Is(err, row.want) && (row.want != errAny || err == nil) || !slices.Equal(added, row.added) {
			t.Errorf("%s: got %v and %q, want %v and %q", row.reason, err, added, row.want, row.added)
		}
	}
}

// errAny stands for any error.
var errAny = errors.New("an error")
