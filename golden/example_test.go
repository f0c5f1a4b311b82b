package golden_test

import (
	"fmt"
	"log"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/golden"
)

// The policies of a file are Kubernetes objects.
func ExampleRead() {
	file, err := golden.Read("../examples/httpservice/testdata/netzero/TestQuote.yaml")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a file of the test", file.Header.Test)
	for _, p := range file.Policies {
		switch p := p.(type) {
		case *networkingv1.NetworkPolicy:
			fmt.Println(file.Dialect, p.Name, "isolates", p.Spec.PodSelector.MatchLabels, "for", p.Spec.PolicyTypes)
		case *golden.CiliumNetworkPolicy:
			fmt.Println(file.Dialect, p.Name, "isolates", p.Spec.EndpointSelector.MatchLabels)
		}
	}
	// Output:
	// a file of the test TestQuote
	// NetworkPolicy httpservice isolates map[app:httpservice] for [Egress]
}

// Merge does not need to know the dialect of the files.
func ExampleMerge() {
	var files [][]golden.Policy
	for _, path := range []string{
		"../examples/externalapi/testdata/netzero/TestPayOut.yaml",
		"../examples/httpservice/testdata/netzero/TestQuote.yaml",
	} {
		file, err := golden.Read(path)
		if err != nil {
			log.Fatal(err)
		}
		files = append(files, file.Policies)
	}
	policies, err := golden.Merge(files...)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range policies {
		fmt.Println(p.GetName())
	}
	// Output:
	// externalapi
	// httpservice
}
