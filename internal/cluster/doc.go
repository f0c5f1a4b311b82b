// Package cluster runs policies in a cluster: a real etcd and kube-apiserver, pods that are network namespaces, and
// NetworkPolicies that an independent implementation enforces on real packets.
//
//	pods 10.244.0.0/16, fd00:10:244::/64
//	each a network namespace with its address and labels
//	     |        |        |
//	+----+--------+--------+-----+
//	| node                       |   address translation of Services (iptables)
//	|  every new packet          |   NFQUEUE -> enforcer (sigs.k8s.io/kube-network-policies)
//	+----+------------------+----+
//	     |                  |
//	control plane        internet
//	kube-apiserver       answers at every other address
//	etcd
//
// [Start] starts it, [Cluster.Run] runs pods, [Cluster.Expose] makes Services, [Cluster.Apply] applies objects as
// "kubectl apply --server-side --validate=strict" does, and [Pod.Reaches] sends traffic. [Cluster.Replay] replays the
// flows of a recording there.
//
// These parts are real: the API server with its validation, etcd, the packets, the translation of Service addresses,
// DNS, and the decision about each connection. The kubelet, kube-proxy, the scheduler and the controllers are not. This
// package writes the status of pods, the iptables rules of Services, and the API server's objects itself.
//
// The enforcer configures nftables to queue packets to it. On a kernel without NFT_QUEUE it logs the rejection. On
// every kernel, the NFQUEUE target of xtables, which this package sets up, queues the packets: after address
// translation, for new connections only. The kernel drops a packet if no program reads the queue. The enforcer itself
// is not changed.
//
// Everything runs in separate network namespaces, so the machine's network stays as it is, and ends with the process
// that started it. Linux, root and iptables are needed.
package cluster
