module github.com/netzero-dev/netzero

go 1.25.0
