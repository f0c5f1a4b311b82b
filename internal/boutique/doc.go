// Package boutique records a shop of twelve services with the topology of Online Boutique
// (github.com/GoogleCloudPlatform/microservices-demo): the same names, ports and sixteen dependencies.
//
// Each service is a container of the image peer. It opens a TCP connection to each service that its original calls,
// sends a line and waits for the echo. It does not speak gRPC, HTTP or the protocol of Redis, because a NetworkPolicy
// allows or denies connections, whatever they carry. It leaves out the originals' traffic to destinations
// outside of the cluster: profiles, traces, queries of the metadata service.
//
// Callers use the ports of the Kubernetes Services, as in the cluster. Docker has no Services, so a container listens
// at its Service's port. The manifests in deploy map that port to the pods' port, which the policies name. No service
// calls loadgenerator, so it has no Service.
package boutique
