package cluster

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// startWithin is the time limit for the start of the control plane, for a busy machine.
const startWithin = 3 * time.Minute

const adminToken = "admin" // valid for this cluster only, which is not reachable from outside

// A controlPlane is etcd and kube-apiserver, in a separate namespace.
type controlPlane struct {
	namespace       *namespace
	etcd, apiServer *process
	config          *rest.Config
	client          kubernetes.Interface
	objects         dynamic.Interface
}

// start starts both, and waits until the API server serves.
func (c *controlPlane) start(ctx context.Context, dir string, programs Binaries) (err error) {
	c.etcd, err = c.namespace.start(dir, programs.Etcd,
		"--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380")
	if err != nil {
		return err
	}
	tokens, key := filepath.Join(dir, "tokens.csv"), filepath.Join(dir, "service-account.key")
	if err := os.WriteFile(tokens, []byte(adminToken+",admin,admin,system:masters\n"), 0o600); err != nil {
		return err
	}
	if err := writeKey(key); err != nil {
		return err
	}
	c.apiServer, err = c.namespace.start(dir, programs.APIServer,
		"--etcd-servers=http://127.0.0.1:2379", "--cert-dir", filepath.Join(dir, "certificates"),
		"--advertise-address", apiServerAddr.String(), fmt.Sprintf("--secure-port=%d", apiServerPort),
		"--service-cluster-ip-range", serviceRange.String(), "--token-auth-file", tokens, "--authorization-mode=AlwaysAllow",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file", key,
		"--service-account-signing-key-file", key,
		// No controller creates service accounts.
		"--disable-admission-plugins=ServiceAccount")
	if err != nil {
		return err
	}
	return c.connect(ctx)
}

// connect waits until the API server is ready, and creates the clients.
func (c *controlPlane) connect(ctx context.Context) (err error) {
	c.config = c.configuration()
	c.config.Dial = func(_ context.Context, network, address string) (conn net.Conn, err error) {
		err = c.namespace.do(func() error {
			conn, err = net.DialTimeout(network, address, time.Second)
			return err
		})
		return conn, err
	}
	if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
		return err
	}
	if c.objects, err = dynamic.NewForConfig(c.config); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		_, err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		if ended := errors.Join(c.etcd.ended(), c.apiServer.ended()); ended != nil {
			return ended
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kube-apiserver does not get ready: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// configuration returns the client configuration for the API server's address in the cluster's network.
func (c *controlPlane) configuration() *rest.Config {
	return &rest.Config{
		Host: "https://" + netip.AddrPortFrom(apiServerAddr, apiServerPort).String(), BearerToken: adminToken,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}, // a self-signed certificate, on a private link
		QPS:             -1,
	}
}

// writeKubeconfig writes the file that other programs use to reach the API server.
func (c *controlPlane) writeKubeconfig(path string) error {
	config := clientcmdapi.NewConfig()
	server := c.configuration()
	config.Clusters["cluster"] = &clientcmdapi.Cluster{Server: server.Host, InsecureSkipTLSVerify: true}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: server.BearerToken}
	config.Contexts["cluster"] = &clientcmdapi.Context{Cluster: "cluster", AuthInfo: "admin"}
	config.CurrentContext = "cluster"
	return clientcmd.WriteToFile(*config, path)
}

func (c *controlPlane) stop() error {
	return errors.Join(c.apiServer.stop(), c.etcd.stop())
}

func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return os.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}
