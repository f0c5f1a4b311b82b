package probe

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/netzero-dev/netzero/bpf"
)

// sender is where the programs find which task sends a packet, and whether a program holds its socket. Where something is
// unknown all of it is zero: a packet then belongs to who made the socket, or was seen to use it.
type sender struct{ bpf.RecordSenderLayout }

// findSender asks the kernel's BTF, and its verifier.
func findSender(kernel *btf.Spec) (s sender) {
	members := []member{
		{&s.Pid, "task_struct", [][]string{{"pid"}}},
		{&s.Cgroups, "task_struct", [][]string{{"cgroups"}}},
		{&s.Cgroup, "css_set", [][]string{{"dfl_cgrp"}}},
		{&s.Node, "cgroup", [][]string{{"kn"}}},
		{&s.Id, "kernfs_node", [][]string{{"id"}}},
		{&s.Level, "cgroup", [][]string{{"level"}}},
		{&s.Socket, "sock", [][]string{{"sk_socket"}}},
		{&s.File, "socket", [][]string{{"file"}}},
		{&s.Net, "sock", [][]string{{"__sk_common", "skc_net", "net"}}},
		{&s.NetCookie, "net", [][]string{{"net_cookie"}}},
		{&s.Owned, "sock", [][]string{{"sk_lock", "owned"}}},
		{&s.BytesSent, "tcp_sock", [][]string{{"bytes_sent"}}},
		{&s.BytesRetrans, "tcp_sock", [][]string{{"bytes_retrans"}}},
	}
	ancestors := member{&s.Ancestors, "cgroup", [][]string{{"ancestors"}}} // from Linux 6.1 on
	if findMembers(kernel, []member{ancestors}) != "" {
		ancestors = member{&s.AncestorIds, "cgroup", [][]string{{"ancestor_ids"}}}
	}
	if findMembers(kernel, append(members, ancestors)) != "" || checkSender() != nil {
		return sender{}
	}
	return s
}

// checkSender loads a program that does nothing with the current task but read from it, where packets leave.
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
