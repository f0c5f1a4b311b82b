package netzerotest

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// An Option changes what [Record] and [RecordPackage] record or compare. Options add up. Two that contradict each other
// are an error.
type Option interface {
	apply(*config) error
}

type optionFunc func(*config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// config is the result of all options.
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
	driver    bool          // the test process has no policy
	cilium    bool          // the golden file contains CiliumNetworkPolicies
	named     bool          // the user chose the workload's name
	manifests *manifest.Set // nil if there are none
	patterns  []string      // of the manifests
	folds     []string      // the patterns of FoldNames
	ranges    []policy.PortRange

	closeIngress bool // containers without a caller deny ingress
	defaultDeny  bool // a policy denies all traffic of each namespace

	clusterDomains []string          // besides cluster.local
	resolvers      []policy.Resolver // of the cluster; the default one if empty
}

// newConfig applies options and fills in the defaults. It reports every invalid option, not only the first.
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
		if c.manifests, err = manifest.Read(string(packageDir), c.patterns...); err != nil {
			errs = append(errs, fmt.Errorf("Manifests: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return config{}, err
	}
	// Reject values that the API server would reject in the policy, before anything runs.
	for _, p := range (networkpolicy.Dialect{Scope: c.process()}).Generate(nil) {
		if err := networkpolicy.Validate(p); err != nil {
			return config{}, fmt.Errorf("Labels: %w", err) // only the labels come unchecked from the user
		}
	}
	return c, nil
}

// subject returns the test process as a workload.
func (c config) subject() policy.Workload {
	return policy.Workload{Name: c.workload, Namespace: c.namespace, Labels: c.labels}
}

// process returns a scope with the test process as its only workload.
func (c config) process() policy.Scope {
	return policy.Scope{Subjects: []policy.Subject{{Workload: c.subject()}}}
}

// ignored returns the flows that the option Ignore leaves out.
func (c config) ignored() endpoint.Ignored {
	return endpoint.Ignored{Destinations: c.ignores, Driver: c.driver}
}

// placement returns the settings that decide the place of a recording in the cluster.
func (c config) placement() placement.Options {
	return placement.Options{
		Workload: c.workload, Namespace: c.namespace, Named: c.named, Manifests: c.manifests, ClusterDomains: c.clusterDomains,
		Ignored: c.ignored(), Cilium: c.cilium,
		Rules: policy.Scope{
			Fold: c.folds, Ranges: c.ranges, Binaries: c.binaries, CloseIngress: c.closeIngress, DenyAll: c.defaultDeny,
			Resolvers: c.resolvers,
		},
	}
}

// defaultWorkload returns the name of the package's directory, without the characters that Kubernetes names cannot
// have.
func defaultWorkload() string {
	if name := endpoint.Label(filepath.Base(string(packageDir))); name != "" {
		return name
	}
	return "test"
}

// set changes one setting. It returns an error if another option has set it to a different value.
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

// Workload names the workload that the test process stands for. The name is the policy's name, and the value of its
// pods' label app unless [Labels] sets others. It is a DNS label (RFC 1123). The default is the name of the package's
// directory.
func Workload(name string) Option {
	return optionFunc(func(c *config) error {
		if err := endpoint.CheckLabel(name); err != nil {
			return fmt.Errorf("Workload(%q): %w", name, err)
		}
		return set("Workload", &c.workload, name)
	})
}

// Labels sets the labels by which the policy selects the workload's pods. The default is app with the workload's name.
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

// Namespace writes a Kubernetes namespace into the policy. By default the policy has none, and kubectl apply sets it.
func Namespace(name string) Option {
	return optionFunc(func(c *config) error {
		if err := endpoint.CheckLabel(name); err != nil {
			return fmt.Errorf("Namespace(%q): %w", name, err)
		}
		return set("Namespace", &c.namespace, name)
	})
}

// Golden sets the file of the committed policy, relative to the package's directory. The default is
// testdata/netzero/<test name>.yaml.
func Golden(path string) Option {
	return optionFunc(func(c *config) error { return set("Golden", &c.golden, path) })
}

// Shared sets the file of a policy that several tests share, relative to the package's directory. Use it if each test
// opens a part of the flows of one deployed service. Each test is compared with the whole file.
//
// An update by a test adds the rules that it needs. A rule that no test needs is removed after a full run: all tests
// that the file lists have recorded, and none failed, was skipped or was cut short by -run, -skip or -short. [Main]
// removes it when the package has ended; without Main the last of the tests does. [Strict] checks at the same moment.
//
// Tests of several packages may share a file; then updates only add. A file that one test shares cannot be the [Golden]
// file of another.
func Shared(path string) Option {
	return optionFunc(func(c *config) error { return set("Shared", &c.shared, path) })
}

// Manifests takes labels, namespaces and ports from Kubernetes manifests. The patterns are those of path/filepath.Glob,
// relative to the package's directory. A container, a child process, a [Peer] or the test process is the Service or the
// workload of its name. If the manifests lack that name, it keeps the label app, and a notice lists the names that
// exist.
//
// A workload's own policy uses the workload's own selector; a rule selects a destination by its Service's. Labels of
// one release or one run, such as helm.sh/chart and job-name, are left out as long as the others identify the workload.
// A Service with a selector that matches no workload stands for pods that an operator makes.
//
// A Service's port, a nodePort or a hostPort becomes the port of the pods. A Service without a selector stands for its
// Endpoints, one of type ExternalName for its host.
//
// Service kubernetes of namespace default is the API server. If the manifests hold its Endpoints or EndpointSlices, a
// NetworkPolicy has them as ipBlocks. Else the policy opens its ports to all addresses and has the annotation
// netzero.dev/egress-api-server. Pods with hostNetwork, which no selector matches, are written in the same way, with
// netzero.dev/egress-host-network.
//
// Errors, with file, document and line: a pattern that matches no file, a file that cannot be read or that kubectl
// apply would refuse, and a name with several meanings.
func Manifests(patterns ...string) Option {
	return optionFunc(func(c *config) error {
		if len(patterns) == 0 {
			return errors.New("Manifests: no pattern: name files, such as \"deploy/*.yaml\"")
		}
		c.patterns = append(c.patterns, patterns...)
		return nil
	})
}

// Cilium writes CiliumNetworkPolicies (cilium.io/v2) instead of NetworkPolicies, for the same workloads. These differ:
//
//   - An external host is a toFQDNs rule, with the rule for DNS that it needs.
//   - A ping is a rule with ICMP types, which a NetworkPolicy cannot express.
//   - The API server is the entity kube-apiserver.
//   - Pods on the network of their nodes, according to the manifests, are the entities host and remote-node.
//   - A process of this machine that is not the test's, and that a container reached at an address of the machine, is
//     the entity host. In a NetworkPolicy it has the name of its executable, as pods do.
//
// A golden file of the other kind is an error.
func Cilium() Option {
	return optionFunc(func(c *config) error {
		c.cilium = true
		return nil
	})
}

// Driver declares that the test process is not a workload, but drives the services in containers. It gets no policy. A
// flow from it to a container becomes ingress from anywhere at the container's port, unless [Ignore] names the port
// because the driver only inspects the container. If a container reaches a server of the test process, name that server
// with [Peer].
func Driver() Option {
	return optionFunc(func(c *config) error {
		c.driver = true
		return nil
	})
}

// Binaries lists, in the annotation netzero.dev/binaries of each policy, the programs that open the flows of the
// policy. A program that is not listed fails the test. The test's own binary is never listed. Without the option, a
// list in a golden file leads to a notice instead, and an update leaves the list alone.
//
// An entry is a program's file name; of a longer name the first 63 bytes. Entries are separated by commas. A byte that
// is neither an ASCII letter or digit nor one of "._+@-" is percent-encoded ("my%20tool"). In a list that you edit, "*"
// stands for any characters. In a file that tests share the list holds for all of them, as soon as one has the option.
//
// The sender of ICMP and raw packets is not known, so it is not compared. The kernel needs readable BTF; without it the
// test fails and says so.
func Binaries() Option {
	return optionFunc(func(c *config) error {
		c.binaries = true
		return nil
	})
}

// Strict fails the test if the committed policy has an unused rule, or if a port of this machine was dialled without a
// listener. Without it, both are reported and the test passes.
func Strict() Option {
	return optionFunc(func(c *config) error {
		c.strict = true
		return nil
	})
}
