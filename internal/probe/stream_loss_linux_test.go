package probe

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// dropPackets drops a part of the packets that arrive in a cgroup, until the test ends.
func dropPackets(t *testing.T, dir string, perMille int32) {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.CGroupSKB, AttachType: ebpf.AttachCGroupInetIngress, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.FnGetPrandomU32.Call(),
			asm.Mod.Imm32(asm.R0, 1000),
			asm.JGE.Imm(asm.R0, perMille, "pass"),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
			asm.Mov.Imm(asm.R0, 1).WithSymbol("pass"),
			asm.Return(),
		},
	})
	check(t, err)
	defer program.Close()
	l, err := link.AttachCgroup(link.CgroupOptions{
		Path: dir, Attach: ebpf.AttachCGroupInetIngress, Program: program,
	})
	check(t, err)
	t.Cleanup(func() { check(t, l.Close()) })
}

// Packets that are lost are sent again, in other sizes. Each byte is delivered or skipped once.
func TestStream_LostPackets(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	dropPackets(t, r.leaf.Path, 50)
	var sent []byte
	for i := range 100 {
		sent = append(sent, request("POST", "/charge", i%7*9000)...)
		sent = append(sent, chunked("/upload", 1000, 1, 1+i)...)
	}
	l := sink(t, "tcp", "127.0.0.1:0")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for segment := range slices.Chunk(sent, 3000) {
				if _, err := c.Write(segment); err != nil {
					t.Error(err)
					return
				}
			}
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Error(err)
			}
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	streams := r.to(l.Addr().(*net.TCPAddr).AddrPort().Port())
	if len(streams) != 8 {
		t.Errorf("%d streams, want 8", len(streams))
	}
	for _, s := range streams {
		s.mustBe(t, sent)
	}
	r.mustLoseNothing()
}

// The socket takes these bytes for sent, but sends them only when their acknowledgement is overdue.
func TestStream_UnseenPacketIsAGap(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	c, err := net.Dial("tcp", sink(t, "tcp", "127.0.0.1:0").Addr().String())
	check(t, err)
	cookie := cookieOf(t, c)
	sent := "GET /seen HTTP/1.1\r\n\r\n"
	_, err = io.WriteString(c, sent)
	check(t, err)
	repair := func(on int) {
		raw, err := c.(*net.TCPConn).SyscallConn()
		check(t, err)
		var failed error
		check(t, raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, on)
			if failed == nil && on == 1 {
				const sendQueue = 2
				failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, sendQueue)
			}
		}))
		check(t, failed)
	}
	repair(1)
	_, err = io.WriteString(c, "GET /unseen HTTP/1.1\r\n\r\n")
	check(t, err)
	repair(0)
	_, err = io.WriteString(c, "GET /next HTTP/1.1\r\n\r\n")
	check(t, err)
	finish(t, c)
	if s := r.get(cookie); s.opaque != StreamGap || s.after != 0 || string(s.bytes) != sent {
		t.Errorf("opaque %d, %d events after that, %q: want a gap after %q", s.opaque, s.after, s.bytes, sent)
	}
}

func TestStream_ZeroCopy(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	c, err := net.Dial("tcp", sink(t, "tcp", "127.0.0.1:0").Addr().String())
	check(t, err)
	cookie := cookieOf(t, c)
	sent := bytes.Repeat(request("POST", "/charge", 60_000), 20)
	raw, err := c.(*net.TCPConn).SyscallConn()
	check(t, err)
	var failed error
	check(t, raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1)
	}))
	check(t, failed)
	rest := sent
	check(t, raw.Write(func(fd uintptr) bool {
		for len(rest) > 0 {
			n, err := unix.SendmsgN(int(fd), rest, nil, nil, unix.MSG_ZEROCOPY)
			if err == unix.EAGAIN {
				return false
			}
			if failed = err; err != nil {
				return true
			}
			rest = rest[n:]
		}
		return true
	}))
	check(t, failed)
	finish(t, c)
	s := r.get(cookie)
	s.mustBe(t, sent)
	if s.skipped != 20*60_000 {
		t.Errorf("%d bytes are skipped, want %d", s.skipped, 20*60_000)
	}
	r.mustLoseNothing()
}

func TestStream_TwoProbes(t *testing.T) {
	first := newStreamRig(t, Sizes{})
	sent := bytes.Repeat(request("POST", "/charge", 5000), 3)
	t.Run("both", func(t *testing.T) {
		second := newStreamRig(t, Sizes{})
		l := sink(t, "tcp", "127.0.0.1:0")
		second.send(l, sent, 1000).mustBe(t, sent)
		s := first.to(l.Addr().(*net.TCPAddr).AddrPort().Port())
		if len(s) != 1 {
			t.Fatalf("the first probe has %d streams, want one", len(s))
		}
		s[0].mustBe(t, sent)
	})
	first.send(sink(t, "tcp", "127.0.0.1:0"), sent, 1000).mustBe(t, sent)
	first.mustLoseNothing()
}
