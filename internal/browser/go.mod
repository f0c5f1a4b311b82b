module github.com/netzero-dev/netzero/internal/browser

go 1.26.0

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/google/go-cmp v0.7.0
	github.com/netzero-dev/netzero v0.0.0
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	golang.org/x/net v0.56.0 // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
)

replace github.com/netzero-dev/netzero => ../..
