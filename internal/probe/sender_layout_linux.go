package probe

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/netzero-dev/netzero/bpf"
)

// sender says where the programs find the task that sends a packet, and whether a program holds its socket. If anything
// is unknown, all offsets are zero: then a packet belongs to the task that created the socket, or was seen to use it.
type sender struct{ bpf.RecordSenderLayout }

// findSender finds the offsets in the kernel's BTF, if the verifier accepts their use. The programs need the offsets of
// a task's cgroup, too.
func findSender(kernel *kernelTypes) (s sender) {
	members := []member{
		{&s.Pid, "task_struct", [][]string{{"pid"}}},
		{&s.Level, "cgroup", [][]string{{"level"}}},
		{&s.Socket, "sock", [][]string{{"sk_socket"}}},
		{&s.File, "socket", [][]string{{"file"}}},
		{&s.Net, "sock", [][]string{{"__sk_common", "skc_net", "net"}}},
		{&s.NetCookie, "net", [][]string{{"net_cookie"}}},
		{&s.Owned, "sock", [][]string{{"sk_lock", "owned"}}},
		{&s.BytesSent, "tcp_sock", [][]string{{"bytes_sent"}}},
		{&s.BytesRetrans, "tcp_sock", [][]string{{"bytes_retrans"}}},
	}
	ancestors := member{&s.Ancestors, "cgroup", [][]string{{"ancestors"}}} // since Linux 6.1
	if findMembers(kernel, []member{ancestors}) != "" {
		ancestors = member{&s.AncestorIds, "cgroup", [][]string{{"ancestor_ids"}}}
	}
	if findMembers(kernel, append(members, ancestors)) != "" || checkSender() != nil {
		return sender{}
	}
	return s
}

// checkSender loads a program on egress that only reads from the current task.
func checkSender() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:       ebpf.CGroupSKB,
		AttachType: ebpf.AttachCGroupInetEgress,
		Instructions: asm.Instructions{
			asm.FnGetCurrentTask.Call(),
			asm.Mov.Reg(asm.R3, asm.R0),
			asm.Mov.Imm(asm.R2, 8),
			asm.Mov.Reg(asm.R1, asm.R10),
			asm.Add.Imm(asm.R1, -8),
			asm.FnProbeReadKernel.Call(),
			asm.Mov.Imm(asm.R0, 1),
			asm.Return(),
		},
		License: "Dual BSD/GPL",
	})
	if err != nil {
		return err
	}
	return p.Close()
}
