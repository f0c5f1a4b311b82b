package netzerotest

// CloseIngress denies ingress to containers without a caller in the test, such as a job or a worker: their policy has
// the type Ingress without a rule. Only containers that were recorded completely are closed. Without the option they
// stay open, because a test need not have every caller; a policy that denies ingress already keeps doing so.
//
// The test process is never closed, because no test knows its callers.
func CloseIngress() Option {
	return optionFunc(func(c *config) error {
		c.closeIngress = true
		return nil
	})
}

// DefaultDeny adds the policy default-deny-all for each namespace of the recorded workloads. It denies all traffic of
// all pods there that no other policy allows, also of workloads that no test knows. A golden file without it fails the
// test; a policy with another name, or two for the two directions, is accepted.
//
// It isolates the test process for ingress, too. Its callers in the test are allowed. Add its other callers in
// production to its policy by hand; updates keep them.
func DefaultDeny() Option {
	return optionFunc(func(c *config) error {
		c.defaultDeny = true
		return nil
	})
}
