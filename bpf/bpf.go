// Package bpf contains the compiled eBPF programs that record flows, and the Go types of the data that they share with
// user space.
//
// The object Record never refuses or changes anything. The object Enforce has the same programs, which also refuse; it
// is loaded only for a recording that enforces its policy. The object Requests has programs of its own, which send what
// clients send; it is loaded only for a recording that lists requests.
//
// The C sources are in the same directory: abi.h declares the shared types, and record.bpf.c lists the hooks and what
// they cannot see. The generated files are committed; make generate reproduces them byte for byte. The package loads
// nothing: package internal/probe does, and is the only importer.
package bpf

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -go-package bpf -output-dir . -type flow_key -type flow -type initiator -type dns_flag -type event_kind -type flow_event -type bind_event -type dns_event -type question_event -type cgroup_event -type mkdir_event -type enter_event -type client_event -type stack_event -type name_event -type name_source -type no_recording -type server_name_key -type scope_state -type counter -type settings -type scope -type socket -type connection -type name_match Record record.bpf.c -- -O2 -g -Wall -Wextra -Wpadded -Werror -mcpu=v2
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -go-package bpf -output-dir . -type allowed_address_key -type allowed_name_key -type allowed_ports -type enforced_key -type refused_question_key Enforce enforce.bpf.c -- -O2 -g -Wall -Wextra -Wpadded -Werror -mcpu=v2
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -go-package bpf -output-dir . -type stream_event -type stream_opened -type stream_opaque -type stream_loss -type unread_end Requests requests.bpf.c -- -O2 -g -Wall -Wextra -Wpadded -Werror -mcpu=v2
