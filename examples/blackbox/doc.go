// Package blackbox tests a service from outside: it runs in a container as it would in a cluster, with a real Redis and a real
// PostgreSQL behind it, and the test only drives it.
//
// The service is in shop, its Kubernetes manifests are in deploy: the policies get their labels, namespace and ports from there. The test
// runs on images of this repository's own (make images), or with NETZERO_EXAMPLES_IMAGES=public on postgres:17 and redis:7; the
// service's image it builds itself, from scratch.
package blackbox
