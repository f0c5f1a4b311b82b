package netlab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/netzero-dev/netzero/internal/testnet"
)

// Usage is the output of netlab -h.
const Usage = `usage: netlab -f FILE [-ca FILE] [-queries FILE] [--] COMMAND [ARGUMENT...]

Netlab builds a small real internet (two network namespaces, servers outside), runs COMMAND inside with the lab's DNS
server in /etc/resolv.conf, ends what COMMAND left running, and exits with COMMAND's exit code: 128 and the signal's
number after a signal, 125 when netlab itself failed, 126 and 127 when COMMAND cannot be run or found. Needs root.

  -f FILE        the lab, a line for each part ("#" starts a comment):
                   host 203.0.113.7 2001:db8::7           a host; ports without a server refuse
                   tcp 203.0.113.7:5432                   a TCP server that echoes
                   udp [2001:db8::7]:9999                 a UDP server that echoes
                   http 203.0.113.7:80                    answers with "GET http://host/path"
                   tls 203.0.113.7:443 api.pay.test       the same over HTTPS, with a certificate for the names
                   answer paid {{.FormValue "sum"}}       what http and tls servers on later lines answer instead:
                                                          text/template, executed with the *http.Request
                   silent 203.0.113.9:443                 accepts connections and datagrams, and never answers
                   dns 203.0.113.53:53                    a DNS server that knows the records
                   record api.pay.test A 203.0.113.7      or AAAA, CNAME, SRV, HTTPS
                   search lab.test                        the search list inside
                   ndots 2                                the resolver's option
                   truncate                               DNS answers over UDP send clients to TCP
                 Servers' addresses need no host line. Addresses are from 203.0.113.0/24, 198.51.100.0/24 and
                 2001:db8::/32; those without a host drop what they are sent.
  -ca FILE       write the authority of the certificates there (PEM), and set SSL_CERT_FILE to it for COMMAND unless
                 it is set
  -queries FILE  write the queries of the DNS servers there when COMMAND has ended, in order, one a line:
                 "udp A api.pay.test"
`

// Exit codes of netlab itself, those of env(1).
const (
	statusFailed   = 125
	statusNotFound = 127
)

// settings are netlab's arguments.
type settings struct {
	lab, ca, queries string
	command          []string
}

// Main is netlab; it returns the exit code. It is for the main function of an executable, or for testscript.Main:
//
//	testscript.Main(m, map[string]func(){"netlab": func() { os.Exit(netlab.Main()) }})
func Main() int {
	settings, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(Usage)
		return 0
	}
	code := statusFailed
	if err == nil {
		code, err = settings.run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "netlab: %v\n", err)
	}
	return code
}

func parseFlags(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("netlab", flag.ContinueOnError)
	flags.SetOutput(new(strings.Builder)) // the error contains everything
	flags.StringVar(&s.lab, "f", "", "")
	flags.StringVar(&s.ca, "ca", "", "")
	flags.StringVar(&s.queries, "queries", "", "")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.command = flags.Args()
	if s.lab == "" || len(s.command) == 0 {
		return s, errors.New("want -f FILE and a command: see netlab -h")
	}
	return s, nil
}

// run returns the exit code, and an error if netlab itself failed.
func (s settings) run() (code int, err error) {
	input, err := os.Open(s.lab)
	if err != nil {
		return statusFailed, err
	}
	defer input.Close()
	file, err := parse(s.lab, input)
	if err != nil {
		return statusFailed, err
	}
	lab, err := testnet.Open()
	if err != nil {
		return statusFailed, err
	}
	defer func() {
		if closeErr := lab.Close(); closeErr != nil {
			code, err = statusFailed, errors.Join(err, closeErr)
		}
	}()
	if err := file.build(s.lab, lab); err != nil {
		return statusFailed, err
	}
	environment, err := s.trust(lab)
	if err != nil {
		return statusFailed, err
	}
	cmd := lab.Command(context.Background(), s.command[0], s.command[1:]...)
	cmd.Env = environment
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if code, err = runForwarding(cmd); err != nil {
		return code, err
	}
	return code, s.writeQueries(file.zone)
}

// trust writes the authority's certificate and returns the command's environment.
func (s settings) trust(lab *testnet.Lab) ([]string, error) {
	if s.ca == "" {
		return os.Environ(), nil
	}
	pem, err := lab.CAPEM()
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(s.ca) // the command may change its directory
	if err != nil {
		return nil, fmt.Errorf("write authority: %w", err)
	}
	if err := os.WriteFile(path, pem, 0o644); err != nil {
		return nil, fmt.Errorf("write authority: %w", err)
	}
	if _, set := os.LookupEnv("SSL_CERT_FILE"); set {
		return os.Environ(), nil
	}
	return append(os.Environ(), "SSL_CERT_FILE="+path), nil
}

func (s settings) writeQueries(zone *testnet.Zone) error {
	if s.queries == "" {
		return nil
	}
	var b strings.Builder
	for _, query := range zone.Queries() {
		fmt.Fprintf(&b, "%s %s %s\n", query.Network, query.Type, query.Name)
	}
	if err := os.WriteFile(s.queries, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write queries: %w", err)
	}
	return nil
}
