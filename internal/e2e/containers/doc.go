// Package containers holds tests that record real containers, which testcontainers-go starts.
package containers
