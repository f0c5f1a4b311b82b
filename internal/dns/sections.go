package dns

import (
	"errors"
	"maps"
	"net/netip"
	"slices"

	"golang.org/x/net/dns/dnsmessage"
)

// sections reads the records of one response into its Answer.
type sections struct {
	parser   *dnsmessage.Parser
	question dnsmessage.Question
	answer   *Answer

	seen     map[owned]bool  // addresses that were added; a set, because one message can hold more than 4,000 addresses
	services map[string]bool // names that serve the question's name according to HTTPS and SVCB records
	hosts    map[string]int  // targets of SRV records, as indices into answer.Targets
	owned    []owned         // addresses that count if their owner does
	bindings []binding       // of the additional section
}

// owned is an address record.
type owned struct {
	owner string // "" for the question's own
	addr  netip.Addr
}

// binding is an HTTPS or SVCB record.
type binding struct {
	owner, target string
	hints         []netip.Addr
}

// read reads the relevant sections and reports whether it read them to the end.
func (s *sections) read() (whole bool) {
	s.seen, s.services, s.hosts = map[owned]bool{}, map[string]bool{}, map[string]int{}
	whole = s.section(s.parser.AnswerHeader, s.parser.SkipAnswer, s.answerRecord)
	if whole && (len(s.services) > 0 || len(s.hosts) > 0) {
		whole = s.parser.SkipAllAuthorities() == nil &&
			s.section(s.parser.AdditionalHeader, s.parser.SkipAdditional, s.additionalRecord)
	}
	s.followBindings()
	for _, o := range s.owned {
		s.addOwned(o)
	}
	s.answer.Service = len(s.hosts) > 0
	s.answer.Targets = slices.DeleteFunc(s.answer.Targets, func(t Target) bool { return len(t.Addrs) == 0 })
	return whole
}

// errMalformed means that a record of a relevant type is unreadable.
var errMalformed = errors.New("malformed record")

// section reads one section. An unreadable record affects no other one.
func (s *sections) section(next func() (dnsmessage.ResourceHeader, error), skip func() error,
	read func(dnsmessage.Parser, dnsmessage.ResourceHeader) error) (whole bool) {
	whole = true
	for {
		header, err := next()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return whole
		}
		if err == nil && header.Class == dnsmessage.ClassINET {
			// A copy of the parser reads the record. Skipping is left to skip, which checks the record's length against
			// that of the message.
			err = read(*s.parser, header)
		}
		if err != nil {
			whole = false
		}
		// An owner name that cannot be followed (a compression loop) does no harm: skipping reads no further than the
		// pointer.
		if skip() != nil {
			return false
		}
	}
}

func (s *sections) answerRecord(parser dnsmessage.Parser, header dnsmessage.ResourceHeader) error {
	switch header.Type {
	case dnsmessage.TypeA, dnsmessage.TypeAAAA:
		addr, err := address(parser, header)
		switch {
		case !addr.IsValid():
			return err
		case s.question.Type == dnsmessage.TypeSRV:
			s.owned = append(s.owned, owned{canonical(header.Name), addr})
		default:
			s.add(addr)
		}
	case dnsmessage.TypeCNAME:
		owner := canonical(header.Name)
		if alias, err := parser.CNAMEResource(); err == nil && owner == s.answer.Question && owner == s.answer.Name {
			s.answer.Name = completed(owner, canonical(alias.CNAME))
		}
	case dnsmessage.TypeSRV:
		srv, err := parser.SRVResource()
		if err != nil {
			return errMalformed
		}
		name := canonical(srv.Target)
		if _, known := s.hosts[name]; !known && name != "" { // the root: the service does not exist (RFC 2782)
			s.hosts[name] = len(s.answer.Targets)
			s.answer.Targets = append(s.answer.Targets, Target{Name: name})
		}
	case dnsmessage.TypeHTTPS, dnsmessage.TypeSVCB:
		b, err := readBinding(parser, header)
		if err != nil {
			return err
		}
		s.serve(b)
	}
	return nil
}

func (s *sections) additionalRecord(parser dnsmessage.Parser, header dnsmessage.ResourceHeader) error {
	switch header.Type {
	case dnsmessage.TypeA, dnsmessage.TypeAAAA:
		addr, err := address(parser, header)
		if addr.IsValid() {
			s.owned = append(s.owned, owned{canonical(header.Name), addr})
		}
		return err
	case dnsmessage.TypeHTTPS, dnsmessage.TypeSVCB:
		b, err := readBinding(parser, header)
		if err == nil {
			s.bindings = append(s.bindings, b)
		}
		return err
	}
	return nil
}

// address reads an address record; the zero Addr if it is malformed. It checks the length because the parser does not:
// the parser would read a short record into the next one.
func address(parser dnsmessage.Parser, header dnsmessage.ResourceHeader) (netip.Addr, error) {
	switch {
	case header.Type == dnsmessage.TypeA && header.Length == 4:
		if r, err := parser.AResource(); err == nil {
			return netip.AddrFrom4(r.A), nil
		}
		return netip.Addr{}, errMalformed
	case header.Type == dnsmessage.TypeAAAA && header.Length == 16:
		if r, err := parser.AAAAResource(); err == nil {
			return netip.AddrFrom16(r.AAAA).Unmap(), nil
		}
		return netip.Addr{}, errMalformed
	}
	return netip.Addr{}, nil
}

func readBinding(parser dnsmessage.Parser, header dnsmessage.ResourceHeader) (binding, error) {
	var r dnsmessage.SVCBResource
	var err error
	if header.Type == dnsmessage.TypeSVCB {
		r, err = parser.SVCBResource()
	} else {
		var https dnsmessage.HTTPSResource
		https, err = parser.HTTPSResource()
		r = https.SVCBResource
	}
	if err != nil {
		return binding{}, errMalformed // clients reject it too
	}
	b := binding{owner: canonical(header.Name), target: canonical(r.Target)}
	if b.target == "" { // ".": the owner itself
		b.target = b.owner
	}
	if r.Priority == 0 {
		return b, nil // the parameters of an alias do not count
	}
	b.hints = append(hints(r, dnsmessage.SVCParamIPv4Hint, 4), hints(r, dnsmessage.SVCParamIPv6Hint, 16)...)
	return b, nil
}

// hints returns the addresses in a parameter; none if it is unreadable.
func hints(r dnsmessage.SVCBResource, key dnsmessage.SVCParamKey, length int) (addrs []netip.Addr) {
	value, _ := r.GetParam(key)
	if len(value)%length != 0 {
		return nil
	}
	for one := range slices.Chunk(value, length) {
		addr, _ := netip.AddrFromSlice(one)
		addrs = append(addrs, addr.Unmap())
	}
	return addrs
}

// serve records that a binding counts.
func (s *sections) serve(b binding) {
	s.services[b.owner], s.services[b.target] = true, true
	for _, addr := range b.hints {
		s.add(addr)
	}
}

// followBindings finds the bindings of the additional section that count: those of names that serve the question's
// name.
func (s *sections) followBindings() {
	byOwner := make(map[string][]binding)
	for _, b := range s.bindings {
		byOwner[b.owner] = append(byOwner[b.owner], b)
	}
	for next := slices.Sorted(maps.Keys(s.services)); len(next) > 0; {
		owner := next[0]
		next = next[1:]
		for _, b := range byOwner[owner] {
			s.serve(b)
			next = append(next, b.target)
		}
		delete(byOwner, owner)
	}
}

func (s *sections) add(addr netip.Addr) {
	if one := (owned{addr: addr}); !s.seen[one] {
		s.seen[one] = true
		s.answer.Addrs = append(s.answer.Addrs, addr)
	}
}

// addOwned adds an address to each name that its owner stands for.
func (s *sections) addOwned(o owned) {
	if s.services[o.owner] {
		s.add(o.addr)
	}
	if i, ok := s.hosts[o.owner]; ok && !s.seen[o] {
		s.seen[o] = true
		s.answer.Targets[i].Addrs = append(s.answer.Targets[i].Addrs, o.addr)
	}
}
