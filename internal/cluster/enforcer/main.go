// Command enforcer runs the controller of sigs.k8s.io/kube-network-policies unchanged, in the network namespace in
// which it is started.
//
// Its own command is for a pod of a cluster, and finds the API server by the pod's service account. This command takes
// a kubeconfig instead, and otherwise does the same. The controller writes nftables rules that queue packets to it. On
// a kernel without NFT_QUEUE the kernel rejects them, and the controller logs that; the caller then has to queue the
// packets in another way. The controller also looks for a container runtime that reports pods (NRI), logs that there is
// none, and gets the pods from the API server. The option that turns this off makes version 0.8.0 crash.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

func main() {
	klog.InitFlags(nil)
	kubeconfig := flag.String("kubeconfig", "", "`file` that names the API server")
	node := flag.String("node", "", "`name` of the node")
	queue := flag.Int("queue", 100, "`number` of the netfilter queue whose packets it decides")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := enforce(ctx, *kubeconfig, networkpolicy.Config{QueueID: *queue, NodeName: *node}); err != nil {
		fmt.Fprintln(os.Stderr, "enforcer:", err)
		os.Exit(1)
	}
}

func enforce(ctx context.Context, kubeconfig string, config networkpolicy.Config) error {
	server, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(server)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	policies, core := factory.Networking().V1().NetworkPolicies(), factory.Core().V1()
	controller, err := networkpolicy.NewController(
		client, policies, core.Namespaces(), core.Pods(), nil, nil, nil, nil, config,
	)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	return controller.Run(ctx)
}
