package recorder

import "github.com/netzero-dev/netzero/internal/enforce"

// Enforcement is what the workloads of a recording may reach. The kernel refuses everything else.
type Enforcement struct {
	Own enforce.Table // of the test process

	// Container returns the table of a container's workload. The namespace is empty if it is not known.
	Container func(workload, namespace string) (enforce.Table, error)

	// Names are further DNS names of workloads, besides those of containers and Peers: of Services, and of workloads
	// that policies name. A program may look them up before anything has that name.
	Names []WorkloadName
}

// WorkloadName is a DNS name of a workload.
type WorkloadName struct {
	DNS                 string // in lower case, without the final dot and without the domains of a search list
	Workload, Namespace string // Namespace is empty if it is not known
}

// EnforceError is returned if what a recording may reach cannot be enforced.
type EnforceError struct{ Err error }

func (e *EnforceError) Error() string { return "cannot enforce the policy: " + e.Err.Error() }
func (e *EnforceError) Unwrap() error { return e.Err }
