package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A canary is a pair of pods. One may call the other as soon as the enforcer has the latest of three objects: a
// namespace, a pod and a policy. The API server sends the changes of each kind in order, so the enforcer then has all
// earlier ones too.
type canary struct {
	caller, called *Pod
	generation     int
}

const (
	canaryNamespace  = "netzero-canary"
	canaryGeneration = "netzero.dev/generation"
	canaryPort       = 7000
)

func (c *Cluster) startCanary(ctx context.Context) (err error) {
	if c.canary.caller, err = c.Run(ctx, PodSpec{Namespace: canaryNamespace, Name: "caller"}); err != nil {
		return err
	}
	if c.canary.called, err = c.Run(ctx, PodSpec{Namespace: canaryNamespace, Name: "called"}); err != nil {
		return err
	}
	if err := c.canary.called.Serve(corev1.ProtocolTCP, canaryPort); err != nil {
		return err
	}
	// The first policy allows no pod, so that the first synchronization has something to wait for.
	if err := c.permit(ctx, "nobody"); err != nil {
		return err
	}
	if err := c.waitForCanary(ctx, false); err != nil {
		return err
	}
	return c.Sync(ctx)
}

// Sync waits until the enforcer has received all earlier changes from the API server.
func (c *Cluster) Sync(ctx context.Context) error {
	c.canary.generation++
	generation := map[string]string{canaryGeneration: fmt.Sprint(c.canary.generation)}
	if err := c.canary.caller.setLabels(ctx, generation); err != nil {
		return fmt.Errorf("label the canary: %w", err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": generation}})
	if err != nil {
		return err
	}
	namespaces := c.control.client.CoreV1().Namespaces()
	_, err = namespaces.Patch(ctx, canaryNamespace, "application/merge-patch+json", patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("label the canary's namespace: %w", err)
	}
	if err := c.permit(ctx, generation[canaryGeneration]); err != nil {
		return err
	}
	return c.waitForCanary(ctx, true)
}

// permit allows pods of one generation, in namespaces of that generation, to call the canary.
func (c *Cluster) permit(ctx context.Context, generation string) error {
	selector := map[string]any{"matchLabels": map[string]any{canaryGeneration: generation}}
	policy := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": map[string]any{"name": "canary", "namespace": canaryNamespace},
		"spec": map[string]any{
			"podSelector": map[string]any{}, "policyTypes": []any{"Ingress"},
			"ingress": []any{map[string]any{
				"from": []any{map[string]any{"podSelector": selector, "namespaceSelector": selector}},
			}},
		},
	}}
	return c.Apply(ctx, policy, false)
}

// waitForCanary waits until one canary reaches the other, or no longer does.
func (c *Cluster) waitForCanary(ctx context.Context, want bool) error {
	called := Target{Addr: c.canary.called.Addr4, Port: canaryPort, Protocol: corev1.ProtocolTCP}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		reached, err := c.canary.caller.Reaches(ctx, called, 20*time.Millisecond)
		if reached == want || err != nil {
			return err
		}
		if err := c.enforcer.ended(); err != nil {
			return err
		}
	}
	log, _ := c.EnforcerLog()
	return fmt.Errorf("the enforcer does not follow the API server; it printed:\n%s", log[max(0, len(log)-4096):])
}
