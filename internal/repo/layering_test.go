package repo_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/netzero-dev/netzero"

// layer is what a package may import, other than the standard library.
type layer struct {
	own    []string // packages of this module
	others []string // modules, or packages below them
	tests  []string // what its tests may import besides, of either
}

var (
	kubernetes = []string{"k8s.io/api", "k8s.io/apimachinery", "sigs.k8s.io/yaml"}
	ebpf       = []string{"github.com/cilium/ebpf"}
	unix       = []string{"golang.org/x/sys/unix"}
)

// layers are all packages of this module, from the top down. Imports go down only.
var layers = map[string]layer{
	// Modules of their own, which users read and nobody imports.
	"examples/postgres": {tests: []string{
		"examples/postgres", "netzerotest", "github.com/lib/pq", "github.com/testcontainers/testcontainers-go",
	}},
	"examples/billing": {
		own:    []string{"examples/billing/ledger"},
		others: []string{"google.golang.org/grpc"},
		tests: []string{
			"examples/billing", "netzerotest", "github.com/testcontainers/testcontainers-go",
		},
	},
	"examples/billing/ledger": {others: []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},
	"examples/billing/shop": {
		own: []string{"examples/billing/ledger"}, others: []string{"google.golang.org/grpc"},
	},
	"examples/kafka": {
		others: []string{"github.com/twmb/franz-go"},
		tests:  []string{"examples/kafka", "netzerotest", "github.com/testcontainers/testcontainers-go"},
	},
	"examples/kafka/broker": {others: []string{"github.com/twmb/franz-go"}},
	"internal/cluster": {
		own: []string{"internal/recording"},
		others: []string{
			"github.com/miekg/dns", "github.com/vishvananda/netlink", "github.com/vishvananda/netns", "golang.org/x/sys/unix",
			"k8s.io/api", "k8s.io/apimachinery", "k8s.io/client-go",
		},
		tests: []string{
			"netzerotest/flow", "internal/policy", "internal/policy/networkpolicy",
			"internal/policy/policytest", "internal/recording/identityrow", "sigs.k8s.io/yaml",
		},
	},
	"internal/cluster/enforcer": {
		others: []string{"k8s.io/client-go", "k8s.io/klog", "sigs.k8s.io/kube-network-policies"},
	},
	"internal/cluster/controlplane":                {},
	"internal/cluster/controlplane/etcd":           {others: []string{"go.etcd.io/etcd"}},
	"internal/cluster/controlplane/kube-apiserver": {others: []string{"k8s.io/component-base", "k8s.io/kubernetes"}},
	"internal/browser": {tests: []string{
		"internal/command", "internal/page", "internal/page/graphlayout", "internal/recording", "internal/report",
		"netzerotest/flow", "github.com/chromedp/cdproto", "github.com/chromedp/chromedp",
	}},
	"internal/conformance": {tests: []string{
		"golden", "internal/cilium", "internal/hubble", "internal/hubble/hubbletest", "internal/page",
		"internal/recording", "internal/report", "internal/serve", "netzerotest/flow",
		"internal/policy", "internal/policy/networkpolicy", "internal/policy/ciliumpolicy", "internal/policy/policytest",
		"github.com/cilium/cilium", "github.com/mattfenwick/cyclonus", "google.golang.org/protobuf",
		"k8s.io/apiextensions-apiserver", "github.com/prometheus", "github.com/santhosh-tekuri/jsonschema",
	}},
	"internal/conformance/statedb/part": {},
	"internal/cost": {tests: []string{
		"netzerotest", "internal/cgroup", "github.com/testcontainers/testcontainers-go", "github.com/cilium/ebpf",
		"gonum.org/v1/plot",
	}},
	"internal/stress": {tests: []string{
		"netzerotest/flow", "netzerotest", "github.com/testcontainers/testcontainers-go",
		"github.com/jackc/pgx", "github.com/lib/pq", "google.golang.org/grpc",
	}},
	"examples/blackbox":      {tests: []string{"netzerotest", "github.com/testcontainers/testcontainers-go"}},
	"examples/blackbox/shop": {others: []string{"github.com/lib/pq", "github.com/redis/go-redis"}},

	"examples/externalapi": {tests: []string{"examples/externalapi", "netzerotest"}},
	"examples/hermetic":    {tests: []string{"examples/hermetic", "netzerotest"}},
	"examples/httpservice": {tests: []string{"examples/httpservice", "netzerotest"}},

	"netzerotest": {
		own: []string{
			"golden", "internal/check", "internal/ci", "internal/enforce", "internal/gotest", "internal/placement",
			"internal/report", "internal/policy", "internal/session", "internal/settings", "internal/endpoint", "internal/rdns",
			"internal/manifest", "internal/goroutine", "internal/recorder", "internal/recording", "internal/scrub",
			"internal/ways",
			"internal/urlpath", "netzerotest/flow",
		},
		others: []string{"github.com/testcontainers/testcontainers-go"},
		tests: []string{
			"internal/docker", "internal/manifest/manifesttest", "internal/probe", "internal/policy/networkpolicy",
			"internal/policy/ciliumpolicy", "internal/recording/identityrow", "golang.org/x/tools/txtar",
		},
	},
	"internal/setup": {
		own:    []string{"internal/launcher", "internal/probe", "internal/ways"},
		others: unix,
		tests:  []string{"internal/cgroup", "internal/doctor"},
	},
	"internal/editor":              {own: []string{"internal/atomicfile"}},
	"internal/recorder/clientname": {own: []string{"netzerotest/flow"}},
	"internal/recorder/containers": {
		own:   []string{"internal/docker", "internal/endpoint", "internal/goroutine", "netzerotest/flow"},
		tests: []string{"github.com/moby/moby/client"},
	},
	"internal/recorder": {
		own: []string{
			"internal/recorder/clientname", "internal/recorder/containers", "internal/enforce",
			"internal/recording", "internal/session", "internal/endpoint", "internal/dns",
			"internal/hostname", "internal/docker", "internal/requests",
			"internal/probe", "internal/cgroup", "internal/goroutine", "netzerotest/flow",
		},
		others: slices.Concat(unix, []string{"github.com/testcontainers/testcontainers-go"}),
		tests:  []string{"internal/enforce/enforcetest"},
	},
	"internal/check": {
		own: []string{
			"golden", "internal/cilium", "internal/endpoint", "internal/enforce", "internal/manifest", "internal/placement",
			"internal/policy", "internal/policy/networkpolicy", "internal/policy/ciliumpolicy", "internal/recording",
			"internal/report", "netzerotest/flow",
		},
		others: kubernetes,
		tests:  []string{"internal/enforce/enforcetest", "internal/manifest/manifesttest"},
	},
	"internal/merge": {
		own: []string{
			"golden", "internal/check", "internal/manifest", "internal/placement", "internal/policy", "internal/recording",
			"netzerotest/flow",
		},
		others: kubernetes,
		tests:  []string{"internal/endpoint", "internal/manifest/manifesttest"},
	},
	"internal/ci":     {own: []string{"internal/gotest", "internal/report"}},
	"internal/gotest": {own: []string{"netzerotest/flow"}, others: unix},
	"internal/ways":   {others: unix},
	"internal/policydiff": {
		own: []string{
			"golden", "internal/cilium", "internal/kubeyaml", "internal/placement", "internal/policy",
			"internal/policy/networkpolicy", "internal/policy/ciliumpolicy", "internal/recording", "internal/report",
			"netzerotest/flow",
		},
		others: kubernetes,
		tests:  []string{"internal/policy/policytest"},
	},
	"internal/placement": {
		own: []string{
			"internal/manifest", "internal/policy", "internal/recording", "internal/endpoint", "internal/urlpath",
			"netzerotest/flow",
		},
		tests: []string{
			"golden", "internal/manifest/manifesttest", "internal/policy/networkpolicy", "internal/policy/ciliumpolicy",
		},
	},
	"internal/manifest/manifesttest": {own: []string{"internal/manifest"}}, // for tests only
	"internal/hubble": {
		own: []string{
			"internal/cilium", "internal/manifest", "internal/policy", "internal/recording", "internal/report",
			"netzerotest/flow",
		},
		tests: []string{
			"internal/hubble/hubbletest", "internal/placement", "internal/policy/networkpolicy",
			"internal/policy/ciliumpolicy",
		},
	},
	"internal/hubble/hubbletest": {own: []string{"internal/recording", "netzerotest/flow"}}, // for tests only
	"internal/page": {
		own:    []string{"internal/recording", "internal/report", "netzerotest/flow"},
		others: []string{"golang.org/x/net/publicsuffix"}, // which names are of one domain
		tests:  []string{"internal/page", "internal/page/graphlayout", "golang.org/x/net/html"},
	},
	"internal/page/graphlayout": { // the command's alone: users do not import gonum
		own: []string{"internal/page"}, others: []string{"gonum.org/v1/gonum"}, tests: []string{"netzerotest/flow"},
	},
	"internal/serve": {
		own:   []string{"internal/page", "internal/report", "netzerotest/flow"},
		tests: []string{"internal/recording"},
	},
	"internal/report":                {own: []string{"internal/recording", "netzerotest/flow"}},
	"internal/recording/identityrow": {own: []string{"internal/recording"}}, // for tests only
	"internal/recording":             {own: []string{"internal/atomicfile", "netzerotest/flow"}},
	"internal/scrub":                 {own: []string{"internal/recording", "netzerotest/flow"}},
	"golden": {
		own: []string{
			"internal/atomicfile", "internal/policy/networkpolicy", "internal/policy/ciliumpolicy", "internal/cilium",
			"internal/kubeyaml",
		},
		others: slices.Concat(kubernetes, []string{"golang.org/x/mod/module", "golang.org/x/text/unicode/norm"}),
		tests:  slices.Concat(unix, []string{"golden", "netzerotest/flow", "internal/policy", "go.yaml.in/yaml"}),
	},
	"internal/atomicfile": {},
	"internal/kubeyaml":   {others: []string{"go.yaml.in/yaml", "sigs.k8s.io/json", "sigs.k8s.io/yaml"}},
	"internal/policy/networkpolicy": {
		// cilium reads CIDRs
		own: []string{
			"internal/enforce", "internal/policy", "internal/policy/index", "internal/cilium", "netzerotest/flow",
		},
		others: kubernetes, tests: []string{"internal/policy/policytest"},
	},
	"internal/policy/ciliumpolicy": {
		own: []string{
			"internal/enforce", "internal/policy", "internal/policy/index", "internal/cilium", "internal/urlpath",
			"netzerotest/flow",
		},
		others: kubernetes, tests: []string{"internal/enforce/enforcetest", "internal/policy/policytest"},
	},
	"internal/policy": { // never a dialect
		own: []string{"internal/enforce", "internal/urlpath", "netzerotest/flow"}, others: kubernetes,
		tests: []string{
			"internal/policy", "internal/policy/networkpolicy", "internal/policy/ciliumpolicy",
			"internal/policy/policytest", "internal/cilium",
		},
	},
	"internal/policy/index": {},
	"internal/policy/policytest": { // for tests only
		own: []string{
			"internal/cilium", "internal/enforce", "internal/enforce/enforcetest", "netzerotest/flow", "internal/policy",
		},
		others: slices.Concat(kubernetes, []string{"github.com/google/go-cmp"}),
	},
	"internal/cilium":   {others: kubernetes},
	"internal/manifest": {own: []string{"netzerotest/flow", "internal/kubeyaml"}, others: kubernetes},
	"internal/session": {
		own:    []string{"internal/probe", "internal/cgroup", "internal/endpoint", "internal/goroutine", "netzerotest/flow"},
		others: unix,
	},
	"internal/settings": {own: []string{"internal/probe"}},
	"internal/doctor":   {own: []string{"internal/session", "internal/probe", "internal/ways"}},
	"internal/command": {
		own: []string{
			"golden", "internal/check", "internal/ci", "internal/doctor", "internal/editor", "internal/gotest",
			"internal/hubble", "internal/launch", "internal/launcher", "internal/manifest", "internal/merge",
			"internal/page", "internal/page/graphlayout", "internal/policydiff", "internal/recording", "internal/report",
			"internal/serve", "internal/setup", "internal/usercache", "netzerotest/flow",
		},
		others: []string{"golang.org/x/mod/module"},
		tests:  []string{"internal/hubble/hubbletest", "internal/session"},
	},
	"internal/launch": {
		own: []string{
			"internal/cgroup", "internal/docker", "internal/launcher", "internal/probe", "internal/usercache", "internal/ways",
		},
		others: slices.Concat(unix, []string{
			"golang.org/x/sys/windows",
			"github.com/testcontainers/testcontainers-go", "github.com/moby/moby", "github.com/containerd/errdefs",
		}),
	},
	"internal/launcher":  {own: []string{"internal/cgroup"}, others: unix},
	"internal/usercache": {tests: []string{"internal/testenv"}},
	"internal/endpoint": {
		own: []string{"netzerotest/flow"}, others: unix,
		tests: []string{"internal/cgroup", "github.com/vishvananda/netlink"},
	},
	"internal/docker": {
		own: []string{"netzerotest/flow"},
		// The engine is found as testcontainers finds it, and asked by the client that it uses.
		others: slices.Concat(unix, []string{
			"github.com/testcontainers/testcontainers-go", "github.com/moby/moby", "github.com/containerd/errdefs",
		}),
		tests: []string{"internal/endpoint"},
	},
	"internal/dns":      {others: []string{"golang.org/x/net/dns/dnsmessage"}},
	"internal/hostname": {others: []string{"golang.org/x/crypto/cryptobyte"}},
	"internal/rdns":     {own: []string{"netzerotest/flow"}},
	"internal/requests": {
		own:    []string{"netzerotest/flow"},
		others: []string{"golang.org/x/net/http", "golang.org/x/net/http2", "github.com/twmb/franz-go/pkg/kmsg"},
		tests:  []string{"internal/requests"},
	},
	"internal/urlpath": {tests: []string{"internal/urlpath"}},
	"internal/probe": {
		own: []string{
			"bpf", "internal/atomicfile", "internal/dns", "internal/enforce", "internal/goroutine", "internal/usercache",
			"netzerotest/flow",
		},
		others: slices.Concat(ebpf, unix),
		tests: []string{
			"internal/cgroup", "internal/hostname", "golang.org/x/crypto/cryptobyte",
			"golang.org/x/net/dns/dnsmessage", "golang.org/x/net/http2", "golang.org/x/net/ipv4",
			"github.com/twmb/franz-go/pkg/kmsg",
			"github.com/vishvananda/netlink",
		},
	},
	"internal/cgroup": {others: unix},
	"internal/enforce": {
		own: []string{"netzerotest/flow"}, tests: []string{"internal/enforce", "internal/enforce/enforcetest"},
	},
	"internal/enforce/enforcetest": {own: []string{"internal/enforce", "netzerotest/flow"}}, // for tests only
	"internal/goroutine":           {own: []string{"netzerotest/flow"}, others: unix},
	"netzerotest/flow":             {tests: []string{"netzerotest/flow"}},
	"bpf":                          {others: ebpf},

	// For this repository's tests only.
	"internal/e2e": {tests: []string{"internal/cgroup", "internal/testnet/netlab"}},
	"internal/e2e/containers": {
		tests: []string{
			"internal/cgroup", "netzerotest/flow", "netzerotest", "github.com/moby/moby",
			"github.com/testcontainers/testcontainers-go",
		},
	},
	"internal/boutique":     {tests: []string{"netzerotest", "github.com/testcontainers/testcontainers-go"}},
	"internal/e2e/recorded": {tests: []string{"internal/cgroup", "netzerotest"}},
	"internal/escapes":      {tests: []string{"internal/cgroup", "netzerotest", "github.com/vishvananda/netlink"}},
	"internal/environments": {
		tests: []string{"internal/cgroup", "internal/command", "internal/kernels/guest", "internal/probe", "netzerotest"},
	},
	"internal/kernels":       {own: []string{"internal/debian", "internal/kernels/guest"}, others: unix},
	"internal/kernels/guest": {},
	"internal/testenv":       {own: []string{"internal/images", "internal/kernels/guest"}, others: unix},
	"internal/images":        {own: []string{"internal/debian"}},
	"internal/debian":        {},
	"internal/testnet": {
		own:    []string{"internal/testenv"},
		others: slices.Concat(unix, []string{"github.com/vishvananda", "golang.org/x/net/dns/dnsmessage"}),
	},
	"internal/testnet/netlab": {own: []string{"internal/testnet"}, others: unix},

	// Programs, and tests without a package.
	"examples/httpservice/cmd/ratesd":  {},
	"netzerotest/cmd/netzero":          {own: []string{"internal/command", "internal/launcher"}},
	"internal/images/cmd/makeimages":   {own: []string{"internal/images"}},
	"internal/images/cmd/peer":         {others: []string{"golang.org/x/net/dns/dnsmessage"}},
	"internal/images/cmd/sshd":         {others: []string{"golang.org/x/crypto/ssh"}},
	"internal/kernels/cmd/guestinit":   {own: []string{"internal/kernels/guest"}, others: unix},
	"internal/kernels/cmd/testkernels": {own: []string{"internal/kernels"}},
	"internal/testnet/cmd/netlab":      {own: []string{"internal/testnet/netlab"}},
	"internal/repo":                    {tests: []string{"golden", "netzerotest", "netzerotest/flow", "internal/"}},
	"":                                 {},
}

// allTests may import these.
var allTests = []string{
	"internal/testenv", "internal/testnet", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "k8s.io/api",
	"k8s.io/apimachinery", "sigs.k8s.io/yaml", "golang.org/x/sys/unix",
}

// refusals are packages of the standard library that would break what a package promises.
var refusals = []struct {
	imported string
	allowed  []string // to these packages only, of those that users import
	reason   string
}{
	{"testing", []string{"netzerotest"}, "only netzerotest touches testing.TB"},
	{
		"os",
		[]string{
			"golden", "internal/atomicfile", "internal/check", "internal/cgroup", "internal/ci", "internal/endpoint",
			"internal/gotest", "internal/manifest", "internal/probe", "internal/recorder", "internal/recording",
			"internal/session", "internal/settings", "internal/usercache", "internal/ways", "netzerotest",
		},
		"it opens no file",
	},
	{
		"io/fs",
		[]string{
			"golden", "internal/atomicfile", "internal/check", "internal/cgroup", "internal/endpoint", "internal/usercache",
			"netzerotest",
		},
		"it opens no file",
	},
	{
		"net",
		[]string{"internal/docker", "internal/endpoint", "internal/rdns"},
		"it sends nothing; net/netip has the addresses",
	},
	{"net/http", []string{"internal/requests"}, "it sends nothing"}, // requests parses what others sent
	{"os/exec", nil, "it starts no process"},
	{
		"unsafe",
		[]string{"internal/goroutine", "internal/gotest", "internal/probe"},
		"bpf2go and encoding/binary know the layout",
	},
}

// source is one Go file.
type source struct {
	name string // its path, with slashes
	pkg  string // of its directory, within the module
	text string
	file *ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// imports returns the import paths; those of this module without its own path.
func (s source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, strings.TrimPrefix(p, modulePath+"/"))
	}
	return paths
}

// textFiles returns all files of the repository that people write or read, for every operating system.
func textFiles(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{".git", ".cache", "bin"}, name) {
				return filepath.SkipDir
			}
			return nil
		}
		if name == ".git" { // of a work tree, where it is a file
			return nil
		}
		text, err := os.ReadFile(name)
		if err == nil && !strings.Contains(string(text), "\x00") {
			files[filepath.ToSlash(name)] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// goFiles returns the Go files of this module, parsed, in order.
func goFiles(t *testing.T) []source {
	t.Helper()
	var sources []source
	for name, text := range textFiles(t) {
		if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		pkg := path.Dir(name)
		if pkg == "." {
			pkg = ""
		}
		sources = append(sources, source{name, pkg, text, file})
	}
	slices.SortFunc(sources, func(a, b source) int { return strings.Compare(a.name, b.name) })
	return sources
}

func TestImportsGoDown(t *testing.T) {
	for _, s := range goFiles(t) {
		l, known := layers[s.pkg]
		if !known {
			t.Errorf("%s: package %s is in no layer: add it to layers, and to ARCHITECTURE.md", s.name, s.pkg)
			continue
		}
		allowed := slices.Concat(l.own, l.others)
		if s.isTest() {
			allowed = slices.Concat(allowed, l.tests, allTests)
		}
		for _, imported := range s.imports() {
			_, own := layers[imported]
			if !own && !strings.Contains(strings.Split(imported, "/")[0], ".") {
				continue // of the standard library
			}
			if !slices.ContainsFunc(allowed, func(a string) bool { return within(imported, a) }) {
				t.Errorf("%s imports %s, which its layer does not", s.name, imported)
			}
		}
	}
}

// within reports whether an import path is an allowed one or lies below it. Of this module only the very package is
// meant, unless the allowed path ends with a slash.
func within(imported, allowed string) bool {
	if _, own := layers[allowed]; own {
		return imported == allowed
	}
	return imported == allowed || strings.HasPrefix(imported, strings.TrimSuffix(allowed, "/")+"/")
}

func TestPackagesRefuseWhatTheyPromiseToRefuse(t *testing.T) {
	users := reached("netzerotest")
	for _, s := range goFiles(t) {
		if s.isTest() || !users[s.pkg] || ast.IsGenerated(s.file) {
			continue
		}
		for _, imported := range s.imports() {
			for _, r := range refusals {
				if imported == r.imported && !slices.Contains(r.allowed, s.pkg) {
					t.Errorf("%s imports %s: %s", s.name, imported, r.reason)
				}
			}
		}
	}
}

// reached returns a package and all of this module that it may import, directly or not: what its users import with it.
func reached(pkg string) map[string]bool {
	all := map[string]bool{pkg: true}
	for _, below := range layers[pkg].own {
		for p := range reached(below) {
			all[p] = true
		}
	}
	return all
}

func TestUsersDoNotImportWhatIsForTests(t *testing.T) {
	refused := []string{"github.com/vishvananda", "github.com/rogpeppe", "gonum.org"} // gonum is the command's alone
	for pkg := range reached("netzerotest") {
		for _, other := range layers[pkg].others {
			if slices.ContainsFunc(refused, func(r string) bool { return strings.HasPrefix(other, r) }) {
				t.Errorf("%s imports %s", pkg, other)
			}
		}
		if strings.HasPrefix(pkg, "internal/test") || strings.HasPrefix(pkg, "examples/") {
			t.Errorf("users import %s", pkg)
		}
	}
}

func TestLayersExist(t *testing.T) {
	found := make(map[string]bool)
	for _, s := range goFiles(t) {
		found[s.pkg] = true
	}
	for pkg := range layers {
		if !found[pkg] {
			t.Errorf("package %s is gone: take it out of layers, and out of ARCHITECTURE.md", pkg)
		}
	}
}

func TestPackagesHaveAComment(t *testing.T) {
	commented := make(map[string]int)
	for _, s := range goFiles(t) {
		if s.isTest() {
			continue
		}
		n := 0
		if s.file.Doc != nil && strings.TrimSpace(s.file.Doc.Text()) != "" {
			n = 1
		}
		commented[s.pkg] += n
	}
	for pkg, n := range commented {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want one", pkg, n)
		}
	}
}

// A machine's own directories mean nothing anywhere else.
var machinePath = regexp.MustCompile(`(^|[\s"'=:(\x60])/(work|home/[a-z]+|root/[a-z.]+|Users/[A-Za-z]+)/|[A-Z]:\\Users`)

func TestFilesNameNoMachine(t *testing.T) {
	for name, text := range textFiles(t) {
		if found := machinePath.FindString(text); found != "" {
			t.Errorf("%s holds the path %q of some machine", name, strings.TrimSpace(found))
		}
	}
}
