module github.com/netzero-dev/netzero/internal/conformance

go 1.26

require (
	github.com/cilium/cilium v1.20.2
	github.com/netzero-dev/netzero v0.0.0
)

replace github.com/netzero-dev/netzero => ../..
