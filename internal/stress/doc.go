// Package stress tests that parallel tests are told apart, with the libraries that people dial with: gRPC's clients and two
// drivers of PostgreSQL, which open connections from goroutines of their own, next to net/http, net.Resolver and child
// processes.
//
// 64 tests run at the same time, and each reaches 50 destinations that no other one does. All of them answer: the servers are
// in a lab of package testnet, and behind those of SQL is one PostgreSQL in a container. The tests run twice, as a user's do:
// with -update, and against the policies that they have written, so that a flow in another test's recording is an unexpected
// one there and a missing one here.
//
// Other tests run 30 serial ones (testdata/serial), which share a pool, an HTTP client and a gRPC client, in several orders: each
// has what it sends in its policy and nothing else, in the same bytes. So it is with one recording of the package.
//
// It is a module of its own, so that nobody else downloads gRPC and the drivers. -rounds runs the former more often, -shuffles the
// latter in more orders.
package stress
