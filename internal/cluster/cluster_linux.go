package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"
)

// nodeName is the name of the only node.
const nodeName = "node"

// A Cluster is a running cluster. Its methods are not safe for concurrent use, except [Pod.Reaches].
type Cluster struct {
	network  *network
	control  *controlPlane
	enforcer *process
	mapper   meta.RESTMapper
	internet *Pod // not a pod of the cluster: all other addresses
	canary   canary

	apiServers    []netip.AddrPort // the addresses behind Service kubernetes
	extraAPIAddrs map[netip.Addr]bool
	resolver      netip.Addr // the address at which pods query DNS
	apiHost       *servers   // the other servers on the API server's host
	patience      time.Duration

	mu       sync.Mutex
	pods     map[string]*Pod
	services map[string]*service
	nextPod  int
	external map[string]netip.Addr // names of hosts on the internet
}

// Start starts a cluster with its files in dir. When Start returns, the cluster serves and allows all traffic.
func Start(ctx context.Context, dir string, programs Binaries) (c *Cluster, err error) {
	c = &Cluster{
		pods: make(map[string]*Pod), services: make(map[string]*service), external: make(map[string]netip.Addr),
		apiServers:    []netip.AddrPort{netip.AddrPortFrom(apiServerAddr, apiServerPort)},
		extraAPIAddrs: make(map[netip.Addr]bool), resolver: dnsService, patience: patience,
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start a cluster: %w", err), c.Close())
			c = nil
		}
	}()
	if c.network, err = newNetwork(); err != nil {
		return c, err
	}
	c.internet = &Pod{Name: "the internet", cluster: c, namespace: c.network.internet,
		servers: newServers(c.network.internet)}
	c.control = &controlPlane{namespace: c.network.control}
	c.apiHost = newServers(c.network.control)
	if err := c.control.start(ctx, dir, programs); err != nil {
		return c, err
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := c.control.writeKubeconfig(kubeconfig); err != nil {
		return c, err
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.control.client.Discovery()))
	if err := c.network.node.queueNewConnections(); err != nil {
		return c, err
	}
	c.enforcer, err = c.enforce(dir, kubeconfig, programs.Enforcer)
	if err != nil {
		return c, err
	}
	if err := c.ServeDNS(ctx, KubeDNS); err != nil {
		return c, err
	}
	return c, c.startCanary(ctx)
}

// enforce starts the enforcer on the node. It reaches the API server in the same way as pods do.
func (c *Cluster) enforce(dir, kubeconfig, program string) (*process, error) {
	return c.network.node.start(dir, program, "-kubeconfig", kubeconfig, "-node", nodeName,
		fmt.Sprintf("-queue=%d", netfilterQueue))
}

// Close ends everything that the cluster started.
func (c *Cluster) Close() error {
	var err error
	for _, p := range c.pods {
		p.close()
	}
	if c.internet != nil {
		c.internet.servers.close()
		c.apiHost.close()
	}
	err = errors.Join(err, c.enforcer.stop())
	if c.control != nil {
		err = errors.Join(err, c.control.stop())
	}
	if c.network != nil {
		c.network.close()
	}
	return err
}

// Apply applies an object as "kubectl apply --server-side --validate=strict" does. An unknown or repeated field is an
// error, and so is a field that another manager owns. With dryRun the API server validates the object and stores
// nothing.
func (c *Cluster) Apply(ctx context.Context, object *unstructured.Unstructured, dryRun bool) error {
	kind := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	text, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	request := c.control.client.CoreV1().RESTClient().Patch("application/apply-patch+yaml").
		AbsPath("/apis", mapping.Resource.Group, mapping.Resource.Version).
		Namespace(object.GetNamespace()).Resource(mapping.Resource.Resource).Name(object.GetName()).
		Param("fieldManager", "netzero").Param("fieldValidation", metav1.FieldValidationStrict).Body(text)
	if dryRun {
		request = request.Param("dryRun", metav1.DryRunAll)
	}
	if err := request.Do(ctx).Error(); err != nil {
		return fmt.Errorf("apply %s %s/%s: %w", kind.Kind, object.GetNamespace(), object.GetName(), err)
	}
	return nil
}

// EnforcerLog returns the output of the enforcer.
func (c *Cluster) EnforcerLog() (string, error) {
	text, err := os.ReadFile(c.enforcer.log)
	return string(text), err
}
