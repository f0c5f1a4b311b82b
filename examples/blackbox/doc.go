// Package blackbox tests a service from outside. The service runs in a container, as in a cluster, with a real Redis
// and a real PostgreSQL behind it. The test only drives it.
//
// The service is in shop, its Kubernetes manifests are in deploy. The policies get their labels, namespace and ports
// from the manifests. The test builds the service's image itself, from scratch, and runs on postgres:17 and redis:7.
// EXAMPLE_POSTGRES_IMAGE and EXAMPLE_REDIS_IMAGE name other images: make test-examples sets them to those of make
// images.
package blackbox
