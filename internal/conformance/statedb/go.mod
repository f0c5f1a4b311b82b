// Of github.com/cilium/statedb, which not every module proxy serves, this is the one package that the policy types of
// Cilium import. Nothing here decides anything: it keeps what it is given.
module github.com/cilium/statedb

go 1.26.0
