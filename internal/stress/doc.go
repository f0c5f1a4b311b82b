// Package stress tests goroutine attribution of parallel tests with common client libraries: gRPC and two drivers of
// PostgreSQL, which open connections from their own goroutines, next to net/http, net.Resolver and child processes.
//
// 64 tests run at the same time. Each reaches 50 destinations that no other test reaches. All of them answer: the
// servers are in a lab of package testnet, and one PostgreSQL in a container is behind the SQL servers. The tests run
// twice, as those of a user do: with -update, and against the written policies. So a misattributed flow is unexpected
// in one test and missing in another.
//
// Other tests run 30 serial ones (testdata/serial), which share a pool, an HTTP client and a gRPC client, in several
// orders. Each policy contains exactly the flows of its test, with the same bytes in each order. The same applies to
// one recording of the package.
//
// Another test runs 64 tests with Enforce at the same time. Their goroutines and children dial 10,000 times. They reach
// the destinations of their own test, and are refused those of others. It needs no container.
//
// It is a separate module, so that users do not download gRPC and the drivers. -rounds sets the number of rounds of the
// parallel tests, -shuffles the number of orders of the serial tests.
package stress
