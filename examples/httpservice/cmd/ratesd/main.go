// Ratesd serves exchange rates for one euro over TCP: a line with a currency gets a line with a number.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"net"
)

var rates = map[string]float64{"EUR": 1, "JPY": 175, "USD": 1.25}

func main() {
	address := flag.String("listen", "127.0.0.1:7070", "`host:port` to listen at")
	flag.Parse()
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ratesd: listening at", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(conn)
	}
}

func serve(conn net.Conn) {
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		rate, known := rates[lines.Text()]
		if !known {
			fmt.Fprintf(conn, "unknown currency %q\n", lines.Text())
			continue
		}
		fmt.Fprintln(conn, rate)
	}
}
