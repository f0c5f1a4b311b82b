package policy

import (
	"strings"
	"testing"
)

func TestParseRequest_RoundTrips(t *testing.T) {
	for _, entry := range []string{
		"billing:8080 POST /api/v1/charge", "billing:8080 *", "billing:8080 * /healthz", "billing:8080 OPTIONS *",
		"billing.shop.svc:8080 GET /", "api.example.com:80 M-SEARCH /a%2Cb", "*.example.com:80 GET /{name}",
		"203.0.113.9:80 GET /api/v1/invoices/{digits}", "[2001:db8::7]:80 *", "cart:7070 POST /shop.Cart/Add",
		"ftp:30000-30009 GET /", "billing:65535 get /",
	} {
		r, err := parseRequest(entry)
		if err != nil || r.String() != entry {
			t.Errorf("%s is read as %s, %v", entry, r, err)
		}
	}
}

func TestParseRequest_SaysWhatIsWrong(t *testing.T) {
	for entry, want := range map[string]string{
		"":                                "want a peer with its port, a method and a path",
		"billing":                         "want a peer with its port, a method and a path",
		"billing:8080":                    "want a peer with its port, a method and a path",
		"billing:8080 GET":                "want a peer with its port, a method and a path",
		"billing GET /":                   "want a peer with its port, a method and a path",
		"billing:0 GET /":                 "want a port from 1 to 65535",
		"billing:http GET /":              "want a port from 1 to 65535",
		"billing:65536 GET /":             "want a port from 1 to 65535",
		"billing:9-8 GET /":               "want a port from 1 to 65535",
		"billing:8-8 GET /":               "want a port from 1 to 65535",
		"*:8080 GET /":                    "an asterisk alone is every peer",
		"Billing:8080 GET /":              "want a workload, a DNS name or an address",
		":8080 GET /":                     "want a workload, a DNS name or an address",
		"billing:8080 G(T /":              "want a method",
		"billing:8080  GET /":             "want a method",
		"billing:8080 GET api":            "path: ",
		"billing:08080 GET /":             "want billing:8080 GET /",
		"[billing]:8080 GET /":            "want billing:8080 GET /",
		"2001:db8::7:80 GET /":            "want [2001:db8::7]:80 GET /",
		"[2001:DB8::7]:80 GET /":          "want [2001:db8::7]:80 GET /",
		"[::ffff:203.0.113.9]:80 GET /":   "want 203.0.113.9:80 GET /",
		"billing:8080/TCP GET /":          "want a port from 1 to 65535",
		"http://billing:8080 GET /health": "want a workload, a DNS name or an address",
	} {
		_, err := parseRequest(entry)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "read \"") {
			t.Errorf("%q: %v, want: %s", entry, err, want)
		}
	}
}

func TestCheckKafka_SaysWhatIsWrong(t *testing.T) {
	for _, entry := range []string{
		"*", "produce alpha-telemetry", "fetch *", "create a.b_c-D9*", "alter %20x", "delete orders",
	} {
		if err := checkKafka(entry); err != nil {
			t.Errorf("%s: %v", entry, err)
		}
	}
	for _, entry := range []string{"produce", "consume orders", "produce a b", "produce a%2x", "Fetch orders", "* orders"} {
		if err := checkKafka(entry); err == nil || !strings.Contains(err.Error(), "want produce, fetch, create") {
			t.Errorf("%q: %v", entry, err)
		}
	}
}
