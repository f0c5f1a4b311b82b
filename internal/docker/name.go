package docker

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxLabel is the length of a DNS label (RFC 1123).
const maxLabel = 63

// unnamed is the name of a container without any better source.
const unnamed = "container"

var (
	// Docker's own names are an adjective and a person, such as "brave_curie" or "brave_curie2".
	generatedName = regexp.MustCompile(`^[a-z]+_[a-z]+[0-9]?$`)

	// testcontainers names an image that it builds with a UUID; an image without a name has its ID.
	generatedImage = regexp.MustCompile(`^([0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
)

// Name returns the name of a container in a policy: its label [LabelWorkload], otherwise its compose service, its first
// network alias that is not generated, its image without registry, tag and digest, or its executable. The name is a
// DNS-1123 label and the same in every run: it contains no ID and no generated name, and does not depend on the order
// of networks.
func Name(c Container) string {
	for _, name := range []string{c.Labels[LabelWorkload], c.Labels[labelService], alias(c), imageName(c.Image),
		executable(c.Command)} {
		if l := label(name); l != "" {
			return l
		}
	}
	return unnamed
}

// alias returns the first alias in the network with which the container was created, otherwise the alphabetically first
// one in any: Docker attaches a container to several networks in random order.
func alias(c Container) string {
	var others []string
	for _, a := range c.Networks {
		own := slices.DeleteFunc(slices.Clone(a.Aliases), func(alias string) bool { return generatedAlias(c, alias) })
		if len(own) > 0 && (a.Network == c.NetworkMode || a.NetworkID == c.NetworkMode) {
			return own[0]
		}
		others = append(others, own...)
	}
	if len(others) == 0 {
		return ""
	}
	return slices.Min(others)
}

// generatedAlias reports whether Docker added an alias: the container's ID, long or short, or its generated name.
func generatedAlias(c Container, alias string) bool {
	return label(alias) == "" ||
		len(alias) >= 12 && strings.HasPrefix(c.ID, alias) ||
		alias == c.Name && generatedName.MatchString(alias)
}

func imageName(image string) string {
	name := path.Base(repository(strings.TrimPrefix(image, "sha256:")))
	if name == "." || generatedImage.MatchString(name) {
		return ""
	}
	return name
}

func executable(command string) string {
	first, _, _ := strings.Cut(command, " ")
	return path.Base(first)
}

// label turns a name into a DNS-1123 label; "" for a name without a letter or digit.
func label(name string) string {
	l := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return ' '
	}, name)
	l = strings.Join(strings.Fields(l), "-")
	if len(l) > maxLabel {
		l = l[:maxLabel]
	}
	return strings.TrimRight(l, "-")
}

// DNSName returns the dotted name from which [Name] makes a label: the compose service or the first alias, in lower
// case. It returns "" if Name has another source.
func DNSName(c Container) string {
	if label(c.Labels[LabelWorkload]) != "" {
		return ""
	}
	name := c.Labels[labelService]
	if label(name) == "" {
		name = alias(c)
	}
	if name = strings.ToLower(strings.Trim(name, ".")); !strings.Contains(name, ".") {
		return ""
	}
	return name
}

// shortID is the length of the ID that an engine adds to a container's aliases.
const shortID = 12

// DNSNames returns the names by which other containers reach a container, sorted and in lower case: its own name, its
// short ID, and its aliases.
func DNSNames(c Container) []string {
	all := []string{c.Name, short(c.ID)}
	for _, n := range c.Networks {
		all = append(all, n.Aliases...)
	}
	for i, name := range all {
		all[i] = strings.ToLower(strings.Trim(name, "."))
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(name string) bool { return name == "" })
}
