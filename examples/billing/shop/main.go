// Shop is what the test's containers run, in addition to nginx.
//
//	shop ledger               serves package ledger at :9090
//	shop call METHOD URL...   requests each URL once, then waits to be stopped
//
// Both print "ready".
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"

	"google.golang.org/grpc"

	"github.com/netzero-dev/netzero/examples/billing/ledger"
)

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "ledger":
		listener, err := net.Listen("tcp", ":9090")
		if err != nil {
			log.Fatal(err)
		}
		server := grpc.NewServer()
		ledger.Register(server)
		fmt.Println("ready")
		log.Fatal(server.Serve(listener))
	case len(os.Args) > 2 && os.Args[1] == "call" && len(os.Args)%2 == 0:
		for pair := range slices.Chunk(os.Args[2:], 2) {
			if err := call(pair[0], pair[1]); err != nil {
				log.Fatal(err)
			}
		}
		fmt.Println("ready")
		select {}
	default:
		log.Fatal("usage: shop ledger | shop call METHOD URL [METHOD URL]...")
	}
}

func call(method, url string) error {
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 {
		return fmt.Errorf("%s %s: %s", method, url, response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
