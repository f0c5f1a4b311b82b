package netzerotest

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// An Option changes what [Record] records or compares. Options add up; two that contradict each other are an error.
type Option interface {
	apply(*config) error
}

type optionFunc func(*config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// optionError says what is wrong with options that only the recording could prove wrong.
type optionError struct{ texts []string }

func (e *optionError) Error() string { return strings.Join(e.texts, "; ") }

// config is what the options say.
type config struct {
	workload  string
	labels    map[string]string
	namespace string
	golden    string
	shared    string
	peers     []endpoint.Peer
	ignores   []endpoint.Ignore
	strict    bool
	binaries  bool
	driver    bool          // the test process is no workload
	cilium    bool          // the golden file is of CiliumNetworkPolicies
	named     bool          // the workload's name is the user's
	manifests *manifest.Set // nil where there are none
	patterns  []string      // of manifests
	folds     []string      // patterns of names
	ranges    []policy.PortRange

	closeIngress bool // what nobody was seen to call is closed for ingress
	defaultDeny  bool // a policy denies all traffic of each namespace

	clusterDomains []string          // besides cluster.local
	resolvers      []policy.Resolver // of the cluster; none is the usual one
}

// newConfig applies options and fills in the defaults. It reports every option that is wrong, not only the first.
func newConfig(opts []Option) (config, error) {
	var c config
	var errs []error
	for i, o := range opts {
		if o == nil {
			errs = append(errs, fmt.Errorf("option %d is nil", i+1))
			continue
		}
		errs = append(errs, o.apply(&c))
	}
	if _, err := endpoint.NewPeers(c.peers...); err != nil {
		errs = append(errs, err)
	}
	if c.driver && (c.workload != "" || len(c.labels) > 0) {
		errs = append(errs, errors.New("Driver: the test process is no workload, so Workload and Labels have nobody to describe: leave them out"))
	}
	if c.golden != "" && c.shared != "" {
		errs = append(errs, fmt.Errorf("Golden(%q) and Shared(%q): a test has one golden file: keep one", c.golden, c.shared))
	}
	c.named = c.workload != ""
	if c.workload == "" {
		c.workload = defaultWorkload()
	}
	if len(c.patterns) > 0 {
		var err error
		if c.manifests, err = manifest.Read(packageDir, c.patterns...); err != nil {
			errs = append(errs, fmt.Errorf("Manifests: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return config{}, err
	}
	// What the API server would refuse in the policy is refused here, before anything runs.
	for _, p := range (networkpolicy.Dialect{Scope: c.process()}).Generate(nil) {
		if err := networkpolicy.Validate(p); err != nil {
			return config{}, fmt.Errorf("Labels: %w", err) // nothing else of it is the user's and unchecked
		}
	}
	return c, nil
}

// subject is the test process as a workload.
func (c config) subject() policy.Workload {
	return policy.Workload{Name: c.workload, Namespace: c.namespace, Labels: c.labels}
}

// process is the test process as a workload, and the only one.
func (c config) process() policy.Scope {
	return policy.Scope{Subjects: []policy.Subject{{Workload: c.subject()}}}
}

// defaultWorkload is the name of the package's directory, as far as it can be a Kubernetes name.
func defaultWorkload() string {
	if name := endpoint.Label(filepath.Base(packageDir)); name != "" {
		return name
	}
	return "test"
}

// set changes one setting, which no other option may have set to something else.
func set(option string, field *string, value string) error {
	if value == "" {
		return fmt.Errorf("%s(%q): is empty", option, value)
	}
	if *field != "" && *field != value {
		return fmt.Errorf("%s(%q): was %q already: keep one", option, value, *field)
	}
	*field = value
	return nil
}

// Workload names the workload that the test process stands for: the policy's name, and the value of its pods' label
// app unless [Labels] says otherwise. name is a DNS label (RFC 1123). The default is the name of the package's
// directory.
func Workload(name string) Option {
	return optionFunc(func(c *config) error {
		if err := endpoint.CheckLabel(name); err != nil {
			return fmt.Errorf("Workload(%q): %w", name, err)
		}
		return set("Workload", &c.workload, name)
	})
}

// Labels gives the labels of the workload's pods, by which the policy selects them. The default is app with the
// workload's name.
func Labels(labels map[string]string) Option {
	return optionFunc(func(c *config) error {
		if len(labels) == 0 {
			return errors.New("Labels: no label: a policy without one selects every pod of the namespace")
		}
		if c.labels == nil {
			c.labels = make(map[string]string)
		}
		for k, v := range labels {
			if old, ok := c.labels[k]; ok && old != v {
				return fmt.Errorf("Labels: %s is %q and %q: keep one", k, old, v)
			}
		}
		maps.Copy(c.labels, labels)
		return nil
	})
}

// Namespace gives the Kubernetes namespace that is written into the policy. The default is none: that of kubectl apply.
func Namespace(name string) Option {
	return optionFunc(func(c *config) error {
		if err := endpoint.CheckLabel(name); err != nil {
			return fmt.Errorf("Namespace(%q): %w", name, err)
		}
		return set("Namespace", &c.namespace, name)
	})
}

// Golden gives the file of the committed policy, relative to the package's directory. The default is
// testdata/netzero/<test name>.yaml.
func Golden(path string) Option {
	return optionFunc(func(c *config) error { return set("Golden", &c.golden, path) })
}

// Shared gives the file of a policy that several tests share, relative to the package's directory: one policy for what is
// deployed, where every test opens a part of what the service needs. Each test is held against the whole of it.
//
// An update by a test adds what it needs. What none of the tests needs is dropped when all tests that the file lists have
// recorded in one run, and none failed, was skipped or kept from running by -run, -skip or -short: by [Main] when the
// package has ended, without Main by the last of them. Then, too, [Strict] judges. Tests of several packages may share a
// file; then updates only add. A file that one test shares, another cannot have as its own.
func Shared(path string) Option {
	return optionFunc(func(c *config) error { return set("Shared", &c.shared, path) })
}

// Manifests names Kubernetes manifests, as patterns of path/filepath.Glob relative to the package's directory: their
// labels, namespaces and ports stand in the policies. A container, a child process, a Peer or the test process is the
// Service or the workload of its name; one whose name they do not have keeps the label app, and a notice lists the
// names that exist.
//
// A workload's own policy is selected by the workload's own selector; rules select a destination by its Service's.
// Labels that name one release or one run, such as helm.sh/chart and job-name, are left out as long as the others
// identify the workload. A Service whose selector picks the pods of no workload stands for the pods that an operator
// makes.
//
// Service kubernetes of namespace default is the API server: a NetworkPolicy has its Endpoints or EndpointSlices as
// ipBlocks where the manifests hold them, else its ports open to all addresses, with the annotation
// netzero.dev/egress-api-server. Pods with hostNetwork, which no selector finds, are written so too, with
// netzero.dev/egress-host-network.
//
// A port that is only a Service's, a nodePort or a hostPort becomes the port of the pods. A Service without a selector
// stands for its Endpoints, one of type ExternalName for that host. A pattern that matches no file, a file that cannot
// be read or that kubectl apply would refuse, and a name that means several things are errors, with file, document and
// line.
func Manifests(patterns ...string) Option {
	return optionFunc(func(c *config) error {
		if len(patterns) == 0 {
			return errors.New("Manifests: no pattern: name files, such as \"deploy/*.yaml\"")
		}
		c.patterns = append(c.patterns, patterns...)
		return nil
	})
}

// Cilium makes the golden file hold CiliumNetworkPolicies (cilium.io/v2) instead of NetworkPolicies, one for the same
// workloads. External hosts are toFQDNs there, with the rule for DNS that makes them work, and pings, which a NetworkPolicy
// has no words for, ICMP types. Entities are the API server (kube-apiserver), pods that the manifests have on the network of
// their nodes (host and remote-node), and the host: a process of this
// machine that is not the test's, and that a container reached at an address of the machine; in a NetworkPolicy it goes by
// the name of its executable, as pods do. A golden file of the other kind is an error.
func Cilium() Option {
	return optionFunc(func(c *config) error {
		c.cilium = true
		return nil
	})
}

// Driver says that the test process is no workload, but drives those that run in containers: it gets no policy, and what
// it opens to a container becomes ingress from anywhere at the container's port, unless [Ignore] says that it only looks
// into the container. A server of the test process that a container reaches has to be named with [Peer].
func Driver() Option {
	return optionFunc(func(c *config) error {
		c.driver = true
		return nil
	})
}

// Binaries makes the policies list the programs that open what they allow, by their file names, in the annotation
// netzero.dev/binaries, and one that is not listed fail the test. The test's own binary is never listed. Entries are parted
// by commas; a byte that is neither letter nor digit of ASCII nor one of "._+@-" is written as in URLs ("my%20tool"), and of
// a name of more than 63 bytes the first 63 count. A list that a person edits may hold "*" for any characters. Of a file
// that tests share it is the list of all of them, as soon as one has the option. Without the option a golden file with such lists makes what they do not
// hold a notice, and an update leaves them alone. Who sends ICMP and raw packets is not known, and not asked for.
//
// The kernel has to have BTF that can be read; where it has none, the test fails and says so.
func Binaries() Option {
	return optionFunc(func(c *config) error {
		c.binaries = true
		return nil
	})
}

// Strict makes a rule of the committed policy that no flow used fail the test, and an attempt to reach a port of this machine
// at which nobody listened. Without it the former is reported, and the latter announced in a line.
func Strict() Option {
	return optionFunc(func(c *config) error {
		c.strict = true
		return nil
	})
}
