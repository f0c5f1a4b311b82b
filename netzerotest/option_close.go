package netzerotest

// CloseIngress closes for ingress what was wholly recorded and what nobody was seen to call, such as a job or a
// worker: its policy has the type Ingress without a rule. Without the option it stays open, because a test need not
// see every caller. What is closed already stays so without the option. The test process is never closed, whose
// callers no test knows.
func CloseIngress() Option {
	return optionFunc(func(c *config) error {
		c.closeIngress = true
		return nil
	})
}

// DefaultDeny adds to the policies one by the name default-deny-all for each namespace of the recorded workloads, which
// denies all traffic of all pods there that no other policy allows: also of workloads that no test knows. A golden file
// without one fails the test; one by another name, or two for the two directions, will do.
//
// The test process is isolated for ingress by it, too, and whoever called it in the test is allowed. Who else calls
// it in production has to be added by hand to its policy, where updates keep it.
func DefaultDeny() Option {
	return optionFunc(func(c *config) error {
		c.defaultDeny = true
		return nil
	})
}
