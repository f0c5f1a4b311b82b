package endpoint

import (
	"cmp"
	"strings"
)

// ExamplePort stands in advice for a port that only the user knows.
const ExamplePort = ":8080"

// SplitName splits the name of a container, "orders-db" or "orders-db.shop" or "orders-db.shop.svc", into the
// workload's name and its namespace, which is empty if the name has none.
func SplitName(name string) (workload, namespace string) {
	if workload, namespace, ok := ServiceName(name); ok {
		return workload, namespace
	}
	workload, namespace, _ = strings.Cut(name, ".")
	return workload, namespace
}

// CheckName returns an error for a name of a container that is neither a DNS label nor label.namespace nor
// label.namespace.svc.
func CheckName(name string) error {
	workload, namespace := SplitName(name)
	return cmp.Or(CheckLabel(workload), CheckLabel(cmp.Or(namespace, workload)))
}
