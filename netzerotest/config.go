package netzerotest

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recorder"
)

// config is the result of all options.
type config struct {
	golden, shared string // files
	strict         bool
	enforce        bool
	labels         map[string]string
	peers          []endpoint.Peer
	manifests      []string // patterns

	placement placement.Options
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
	p := &c.placement
	if p.Ignored.Driver && (p.Workload != "" || len(c.labels) > 0) {
		errs = append(errs, errors.New(
			"Driver cannot be combined with Workload or Labels: the test process has no policy: leave them out"))
	}
	if c.golden != "" && c.shared != "" {
		errs = append(errs, fmt.Errorf("Golden(%q) and Shared(%q): a test has one golden file: keep one", c.golden, c.shared))
	}
	if len(p.Rules.FoldPaths) > 0 && !p.Rules.Requests {
		errs = append(errs, errors.New("FoldPaths needs Requests: without it no path is recorded"))
	}
	p.Named = p.Workload != ""
	p.Workload = cmp.Or(p.Workload, endpoint.Label(filepath.Base(string(packageDir))), "test")
	if len(c.manifests) > 0 {
		var err error
		if p.Manifests, err = manifest.Read(string(packageDir), c.manifests...); err != nil {
			errs = append(errs, fmt.Errorf("Manifests: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return config{}, err
	}
	// Reject values that the API server would reject in the policy, before anything runs.
	w := policy.Workload{Name: p.Workload, Namespace: p.Namespace, Labels: c.labels}
	if err := check.ValidateWorkload(w); err != nil {
		return config{}, fmt.Errorf("Labels: %w", err) // the names were checked before
	}
	return c, nil
}

// recorder returns the options that the recorder needs.
func (c config) recorder(tb run) recorder.Options {
	p := c.placement
	return recorder.Options{
		Test: tb.Name(), Package: tb.isPackage(),
		Workload: p.Workload, Namespace: p.Namespace, Labels: c.labels,
		Driver: p.Ignored.Driver, Binaries: p.Rules.Binaries, Requests: p.Rules.Requests,
		Peers: c.peers, ClusterDomains: p.ClusterDomains, Ignored: p.Ignored,
		ClusterName: p.ClusterName, FixedPort: p.IsFixedPort, Announce: gotest.Announce,
	}
}

type optionFunc func(*config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// setting returns an option without arguments.
func setting(set func(*config)) Option {
	return optionFunc(func(c *config) error {
		set(c)
		return nil
	})
}

// forEach returns an option that adds several values.
func forEach[T any](values []T, add func(*config, T) error) Option {
	return optionFunc(func(c *config) error {
		var errs []error
		for _, value := range values {
			errs = append(errs, add(c, value))
		}
		return errors.Join(errs...)
	})
}

// invalid returns an option that is an error.
func invalid(text string) Option {
	return optionFunc(func(*config) error { return errors.New(text) })
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

// setLabel is set for a value that is a DNS label.
func setLabel(option string, field *string, value string) error {
	if err := endpoint.CheckLabel(value); err != nil {
		return fmt.Errorf("%s(%q): %w", option, value, err)
	}
	return set(option, field, value)
}
