package policy_test

// header opens a policy that isolates checkout; a test adds egress rules as flow-style YAML.
const header = `
metadata: {name: checkout}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
  egress:
`
