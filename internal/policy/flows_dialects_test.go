package policy_test

import (
	"github.com/netzero-dev/netzero/internal/policy/policytest"
)

// Short names for what the tests of this package share with those of other packages.
var (
	checkout         = policytest.Checkout
	workload         = policytest.Workload
	workloadIn       = policytest.WorkloadIn
	resolver         = policytest.Resolver
	external         = policytest.External
	host             = policytest.Host
	at               = policytest.At
	between          = policytest.Between
	toPort           = policytest.ToPort
	tcp              = policytest.TCP
	udp              = policytest.UDP
	ping             = policytest.Ping
	lookup           = policytest.Lookup
	toHosts          = policytest.ToHosts
	from             = policytest.From
	alone            = policytest.Alone
	reversed         = policytest.Reversed
	arrow            = policytest.Arrow
	neighbours       = policytest.Neighbours
	parse            = policytest.Parse
	egressPolicy     = policytest.EgressPolicy
	ciliumPolicy     = policytest.CiliumPolicy
	ciliumEgressOnly = policytest.CiliumEgressPolicy
	toYAML           = policytest.ToYAML
)

const (
	header       = policytest.CheckoutEgress
	theInternet  = policytest.ToInternet
	theDirectory = policytest.ToPrivateAddress
)
