package docker

import (
	"slices"
	"strings"
	"testing"
)

func TestName_Sources(t *testing.T) {
	const id = "4f66ad9bb4d1e0a5c1f8e6b7d3a2c9f0e1d2c3b4a5968778695a4b3c2d1e0f9a"
	networks := func(aliases ...string) []Attachment { return []Attachment{{Network: "shop", Aliases: aliases}} }
	for _, c := range []struct {
		reason string
		c      Container
		want   string
	}{
		{"As says so", Container{Labels: map[string]string{LabelWorkload: "orders-db", labelService: "db"},
			Image: "postgres:17"}, "orders-db"},
		{"the compose service", Container{Labels: map[string]string{labelService: "db"}, Image: "postgres:17",
			Networks: networks("x")}, "db"},
		{"the first alias", Container{Image: "postgres:17", NetworkMode: "shop", Networks: networks("orders-db", "db")},
			"orders-db"},
		{"the container's short ID is none", Container{ID: id, Image: "postgres:17", Networks: networks(id[:12])},
			"postgres"},
		{"nor its long one", Container{ID: id, Image: "postgres:17", Networks: networks(id)}, "postgres"},
		{"nor the name that Docker made", Container{Name: "brave_curie2", Image: "postgres:17",
			Networks: networks("brave_curie2")}, "postgres"},
		{"a chosen name counts",
			Container{Name: "orders-db", Image: "postgres:17", Networks: networks("orders-db")}, "orders-db"},
		{"the beginning of an ID that is too short to be one",
			Container{ID: id, Image: "postgres:17", Networks: networks("4f66ad9bb4d")}, "4f66ad9bb4d"},
		{"aliases of another network than the first", Container{NetworkMode: "shop", Networks: []Attachment{
			{Network: "a", Aliases: []string{"a"}}, {Network: "shop", Aliases: []string{"z"}}}}, "z"},
		{"networks in an order of chance", Container{NetworkMode: "shop", Networks: []Attachment{
			{Network: "b", Aliases: []string{"b", "z"}}, {Network: "a", Aliases: []string{"c"}}}}, "b"},
		{"a registry with a port, a tag and a digest",
			Container{Image: "registry.example:5000/team/app:1.2@sha256:" + id}, "app"},
		{"a registry with a port, and no tag", Container{Image: "registry.example:5000/app"}, "app"},
		{"an image built by testcontainers",
			Container{Image: "0c7be7a2-0b92-4d2e-9b2f-3d1c94c9b2b7:7d1f", Command: "/bin/shop-api -v"}, "shop-api"},
		{"an image without a name", Container{Image: "sha256:" + id, Command: "/bin/shop-api"}, "shop-api"},
		{"capitals and other characters", Container{Labels: map[string]string{LabelWorkload: "_Orders.DB__v2_"}},
			"orders-db-v2"},
		{"too long", Container{Labels: map[string]string{LabelWorkload: strings.Repeat("a", 62) + ".bc"}},
			strings.Repeat("a", 62)},
		{"nothing is known", Container{}, "container"},
	} {
		if got := Name(c.c); got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}

func TestDNSName_DottedAlias(t *testing.T) {
	networks := func(aliases ...string) []Attachment { return []Attachment{{Network: "shop", Aliases: aliases}} }
	for _, c := range []struct {
		reason string
		c      Container
		want   string
	}{
		{"a Service's name", Container{Image: "postgres:17", NetworkMode: "shop",
			Networks: networks("orders-db.shop.svc")}, "orders-db.shop.svc"},
		{"a host's", Container{Image: "wiremock", NetworkMode: "shop", Networks: networks("API.Stripe.com.")},
			"api.stripe.com"},
		{"a compose service's", Container{Labels: map[string]string{labelService: "orders-db.shop"}}, "orders-db.shop"},
		{"the first alias has none", Container{NetworkMode: "shop", Networks: networks("db", "orders-db.shop.svc")},
			""},
		{"As says another", Container{Labels: map[string]string{LabelWorkload: "stripe"},
			Networks: networks("api.stripe.com")}, ""},
		{"an image has dots, too", Container{Image: "registry.example/app:1.2"}, ""},
	} {
		if got := DNSName(c.c); got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}

func TestInfrastructure_Testcontainers(t *testing.T) {
	for _, c := range []struct {
		reason string
		c      Container
		want   string
	}{
		{"Ryuk by its label", Container{Image: "mirror/reaper",
			Labels: map[string]string{"org.testcontainers.ryuk": "true"}}, "Ryuk (testcontainers' reaper)"},
		{"Ryuk by the older label", Container{Labels: map[string]string{"org.testcontainers.reaper": "true"}},
			"Ryuk (testcontainers' reaper)"},
		{"Ryuk by its image", Container{Image: "testcontainers/ryuk:0.14.0"}, "Ryuk (testcontainers' reaper)"},
		{"sshd from a mirror", Container{Image: "mirror.example:5000/hub/testcontainers/sshd:1.4.0"},
			"host access (testcontainers' sshd)"},
		{"netzero's helper", Container{Image: "netzero/helper:amd64-1",
			Labels: map[string]string{"dev.netzero.exec": "true"}}, "netzero's helper"},
		{"a test's own container", Container{Image: "postgres:17",
			Labels: map[string]string{"org.testcontainers": "true"}}, ""},
		{"an sshd of the test's", Container{Image: "linuxserver/sshd"}, ""},
		{"a name that only ends so", Container{Image: "mytestcontainers/ryuk"}, ""},
		{"a label that says no", Container{Labels: map[string]string{"org.testcontainers.ryuk": "false"}}, ""},
	} {
		if got := Infrastructure(c.c); got != c.want {
			t.Errorf("%s: %q, want %q", c.reason, got, c.want)
		}
	}
}

func TestName_DNSNames(t *testing.T) {
	got := DNSNames(Container{
		ID: "0123456789abcdef", Name: "Brave_curie",
		Networks: []Attachment{{Aliases: []string{"api.EXAMPLE.test.", "0123456789ab", ""}}, {Aliases: []string{"db"}}},
	})
	want := []string{"0123456789ab", "api.example.test", "brave_curie", "db"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := DNSNames(Container{ID: "01"}); !slices.Equal(got, []string{"01"}) {
		t.Errorf("without a name: %q", got)
	}
}
