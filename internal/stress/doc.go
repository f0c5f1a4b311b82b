// Package stress tests goroutine attribution of parallel tests with common client libraries: gRPC and two drivers of
// PostgreSQL, which open connections from their own goroutines, next to net/http, net.Resolver and child processes.
//
// 64 tests run at the same time. Each reaches 50 destinations that no other test reaches. All of them answer: the
// servers are in a lab of package testnet, and one PostgreSQL in a container is behind the SQL servers. The tests run
// twice, as a user's do: with -update, and against the written policies. So a flow in another test's recording is
// unexpected there and missing here.
//
// Other tests run 30 serial ones (testdata/serial), which share a pool, an HTTP client and a gRPC client, in several
// orders. Each policy holds exactly the flows of its test, in the same bytes. The same holds for one recording of the
// package.
//
// It is a separate module, so that users do not download gRPC and the drivers. -rounds sets the number of rounds of the
// former, -shuffles the number of orders of the latter.
package stress
