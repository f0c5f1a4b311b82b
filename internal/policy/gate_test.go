package policy_test

const (
	theInternet  = "  - {to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}, {ipBlock: {cidr: '::/0'}}], ports: [{port: 443}]}\n"
	theDirectory = "  - {to: [{ipBlock: {cidr: 10.9.0.1/32}}], ports: [{port: 636}, {port: 443}]}\n"
)
