package ciliumpolicy

import (
	"github.com/netzero-dev/netzero/internal/policy/policytest"
)

// Short names for what the tests of this package share with those of other packages.
var (
	checkout         = policytest.Checkout
	shop             = policytest.Shop
	workload         = policytest.Workload
	workloadIn       = policytest.WorkloadIn
	node             = policytest.Node
	resolver         = policytest.Resolver
	external         = policytest.External
	at               = policytest.At
	between          = policytest.Between
	query            = policytest.Query
	toPort           = policytest.ToPort
	tcp              = policytest.TCP
	udp              = policytest.UDP
	from             = policytest.From
	alone            = policytest.Alone
	arrow            = policytest.Arrow
	withNeighbours   = policytest.WithNeighbours
	ciliumPolicy     = policytest.CiliumPolicy
	ciliumEgressOnly = policytest.CiliumEgressPolicy
	toYAML           = policytest.ToYAML
)
