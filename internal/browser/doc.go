// Package browser tests the page of netzero report in a headless Chromium: what a reader sees, clicks and types, with
// mouse, keyboard and screen reader, on screens and on paper.
//
// It is a separate module, so that users do not download chromedp. Its tests need Debian's package chromium. Each test
// has a browser of its own, with a new profile. A test fails if the page writes to the console or requests anything but
// itself.
package browser
