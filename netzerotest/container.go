package netzerotest

import (
	"context"
	"fmt"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recorder"
)

// Customize adds a container that testcontainers-go starts to this recording, from its first packet on. The container
// gets a policy of its own. With this method a Recording is a [testcontainers.ContainerCustomizer]:
//
//	redis, err := tcredis.Run(ctx, "redis:7", rec)
//
// The container's name in the policy is its compose service, else its first network alias, else its image;
// [Recording.As] sets another. An alias with dots means:
//
//   - "orders-db.shop.svc": the Service orders-db in namespace shop
//   - "orders-db.shop": the same, if the [Manifests] have it
//   - any other, such as "api.stripe.com": that external host; the container stands for it and gets no policy
//
// Customize adds labels and lifecycle hooks to the request and replaces nothing.
//
// Connections of wait strategies, from the container's start until it is ready, do not count as flows of the test. The
// same applies to wait strategies and Docker's health checks of containers that did not get the recording.
//
// A container that does not get the recording may still be detected: see the package documentation.
func (r *Recording) Customize(req *testcontainers.GenericContainerRequest) error {
	if err := r.customize(req, recorder.Role{}); err != nil {
		return fmt.Errorf("netzero: %w", err)
	}
	return nil
}

// As is [Recording.Customize] for a container with this name in the policy. name is a DNS label (RFC 1123), or
// label.namespace or label.namespace.svc for a container in another namespace than that of [Namespace]:
//
//	db, err := postgres.Run(ctx, "postgres:17", rec.As("orders-db"))
//
// Containers of one name are replicas of one workload and share its policy. Run returns an error if the name is
// invalid.
func (r *Recording) As(name string) testcontainers.ContainerCustomizer {
	return r.customizer("As", recorder.Role{Name: name})
}

// AsPeer is [Recording.As] for a container that another team operates in production, such as a database with replicas,
// backups and clients that your tests do not have. It is recorded, and the policies of others name it, but it gets no
// policy of its own:
//
//	db, err := postgres.Run(ctx, "postgres:17", rec.AsPeer("orders-db"))
//
// For a container that Run does not start, such as one of a compose file, set the label dev.netzero.peer to true. Run
// returns an error if the name is invalid, or if the request was also passed to [Recording.As].
func (r *Recording) AsPeer(name string) testcontainers.ContainerCustomizer {
	return r.customizer("AsPeer", recorder.Role{Name: name, Peer: true})
}

// Adopt adds a running container to this recording, from now on: one that TestMain or an earlier test started, or that
// [testcontainers.GenericContainerRequest].Reuse brought back. name is its name in the policy, as with [Recording.As]:
//
//	func TestCheckout(t *testing.T) {
//		rec := netzerotest.Record(t)
//		if err := rec.Adopt(t.Context(), db, "orders-db"); err != nil {
//			t.Fatal(err)
//		}
//
// The container gets a policy of its own, unless its label dev.netzero.peer is true: see [Recording.AsPeer]. The policy
// does not contain the flows from before. It contains later traffic over connections that the container keeps open.
//
// Adopt returns an error if the name is invalid, the container has another name already, does not run or cannot be
// inspected, or the recording has ended. If nothing is recorded, Adopt only checks the name.
func (r *Recording) Adopt(ctx context.Context, container testcontainers.Container, name string) error {
	err := endpoint.CheckName(name)
	switch {
	case err != nil || r.live == nil:
	case r.ended():
		err = fmt.Errorf("the recording of %s has ended: call Adopt in the running test", r.tb.Name())
	default:
		err = r.live.Adopt(ctx, container, name)
	}
	if err != nil {
		return fmt.Errorf("netzero: Adopt(%q): %w", name, err)
	}
	return nil
}

// customizer returns the result of As and AsPeer.
func (r *Recording) customizer(function string, role recorder.Role) testcontainers.ContainerCustomizer {
	return testcontainers.CustomizeRequestOption(func(req *testcontainers.GenericContainerRequest) error {
		err := role.Check(req.Labels)
		if err == nil {
			err = r.customize(req, role)
		}
		if err != nil {
			return fmt.Errorf("netzero: %s(%q): %w", function, role.Name, err)
		}
		return nil
	})
}

// customize connects the container of a request with the recording, if there is one.
func (r *Recording) customize(req *testcontainers.GenericContainerRequest, role recorder.Role) error {
	if r.live == nil {
		return nil
	}
	if r.ended() {
		return fmt.Errorf("the recording of %s has ended and cannot record a container: "+
			"pass the recording of the running test", r.tb.Name())
	}
	return r.live.Customize(req, role)
}
