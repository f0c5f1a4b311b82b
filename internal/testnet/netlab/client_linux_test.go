package netlab

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// fetch is a command for scripts: it gets URLs and prints the answers, or the kind of error in a word.
func fetch() {
	client := &http.Client{Timeout: 5 * time.Second}
	for _, url := range os.Args[1:] {
		response, err := client.Get(url)
		if err != nil {
			fmt.Println(class(err))
			continue
		}
		io.Copy(os.Stdout, response.Body)
		response.Body.Close()
	}
}

// talk is a command for scripts: it sends words to NETWORK ADDRESS and prints the answer. A third argument is its
// time-out.
func talk() {
	patience := 10 * time.Second
	if len(os.Args) > 3 {
		patience, _ = time.ParseDuration(os.Args[3])
	}
	conn, err := net.Dial(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Println(class(err))
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "hello over %s", os.Args[1])
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	if err != nil {
		fmt.Println(class(err))
		return
	}
	fmt.Printf("%s\n", buffer[:n])
}

func class(err error) string {
	var untrusted x509.HostnameError
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &untrusted):
		return "wrong name"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "silent"
	}
	return err.Error()
}
