package escapes

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capture has the time of each IP packet that arrived outside, by its destination.
type capture struct {
	fd   int
	stop chan struct{}

	mu   sync.Mutex
	seen map[netip.Addr][]time.Time
}

// captureOutside starts the rig's capture, until the test ends.
func (r *rig) captureOutside() {
	r.t.Helper()
	c := &capture{stop: make(chan struct{}), seen: make(map[netip.Addr][]time.Time)}
	r.check(r.lab.RunOutside(func() (err error) {
		c.fd, err = packetListener()
		return err
	}))
	var wait sync.WaitGroup
	wait.Go(func() { c.read(r.t) })
	r.t.Cleanup(func() {
		close(c.stop)
		wait.Wait()
		unix.Close(c.fd)
	})
	r.packets = c
}

// packetListener returns a socket that receives every IP packet of this network namespace, with its time.
func packetListener() (int, error) {
	every := uint16(unix.ETH_P_ALL)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(every<<8|every>>8))
	if err != nil {
		return -1, fmt.Errorf("make packet socket: %w", err)
	}
	for option, value := range map[int]int{unix.SO_RCVBUFFORCE: 64 << 20, unix.SO_TIMESTAMPNS: 1} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, value); err != nil {
			return -1, fmt.Errorf("set option %d of packet socket: %w", option, err)
		}
	}
	often := unix.NsecToTimeval((50 * time.Millisecond).Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &often); err != nil {
		return -1, fmt.Errorf("set time-out of packet socket: %w", err)
	}
	return fd, nil
}

func (c *capture) read(t *testing.T) {
	packet, control := make([]byte, 64), make([]byte, 128)
	for {
		select {
		case <-c.stop:
			return
		default:
		}
		n, controls, _, _, err := unix.Recvmsg(c.fd, packet, control, 0)
		switch err {
		case nil:
		case unix.EAGAIN, unix.EINTR:
			continue
		default:
			t.Errorf("capture: %v", err)
			return
		}
		if to, ok := destinationOf(packet[:n]); ok {
			c.add(to, timeOf(control[:controls]))
		}
	}
}

func (c *capture) add(to netip.Addr, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[to] = append(c.seen[to], at)
}

// destinationOf returns the destination of an IP packet.
func destinationOf(packet []byte) (netip.Addr, bool) {
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(packet[16:20])), true
	case len(packet) >= 40 && packet[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(packet[24:40])), true
	}
	return netip.Addr{}, false
}

// timeOf returns the time in a packet's control messages, or now.
func timeOf(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			return time.Unix((*unix.Timespec)(unsafe.Pointer(&m.Data[0])).Unix())
		}
	}
	return time.Now()
}

// complete waits until every packet from before was read.
func (c *capture) complete(t *testing.T, r *rig) {
	t.Helper()
	since := time.Now()
	for end := since.Add(patience); !c.arrived(since, end, last.Addr()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the capture does not see the last packet")
		}
		r.check(r.lab.Lab.Run(func() error { return udpSendTo(last) }))
	}
	stats, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		t.Fatal(err)
	}
	if stats.Drops > 0 {
		t.Fatalf("the capture lost %d packets", stats.Drops)
	}
}

// arrived reports whether a packet to one of the addresses arrived in a span of time.
func (c *capture) arrived(begin, end time.Time, to ...netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(to, func(a netip.Addr) bool {
		return slices.ContainsFunc(c.seen[a], func(at time.Time) bool { return !at.Before(begin) && !at.After(end) })
	})
}
