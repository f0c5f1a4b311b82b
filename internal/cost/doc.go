// Package cost measures what a recording costs a test, beside what people would use instead, and how the cost grows.
//
// Each figure is a ratio of runs that alternate on the same machine. All runs are of the same test binary, which does
// the same work; they differ in what observes them. `make bench` runs it with -write, and then docs/benchmarks.md
// contains the figures. Without -write the work is short, and the tests only check that the measurements work.
package cost
