// Package blackbox tests a service from outside: it runs in a container as it would in a cluster, with a real Redis and a real
// PostgreSQL behind it, and the test only drives it.
//
// The service is in shop, its Kubernetes manifests are in deploy: the policies get their labels, namespace and ports from there. The test
// builds the service's image itself, from scratch, and runs on postgres:17 and redis:7. EXAMPLE_POSTGRES_IMAGE and
// EXAMPLE_REDIS_IMAGE name other images: make test-examples sets them to those that make images builds.
package blackbox
