package docker

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxLabel is the length of a DNS label (RFC 1123).
const maxLabel = 63

// unnamed is what a container is called about which nothing says more.
const unnamed = "container"

var (
	// Docker's own names are an adjective and a person, such as "brave_curie" or "brave_curie2".
	generatedName = regexp.MustCompile(`^[a-z]+_[a-z]+[0-9]?$`)

	// testcontainers names an image that it builds with a UUID; an image that was never named is known by its ID.
	generatedImage = regexp.MustCompile(`^([0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
)

// Name returns how a policy calls a container: what its label [LabelWorkload] says, else its compose service, else its first
// network alias that nobody generated, else its image without registry, tag and digest, else its executable. It is a
// DNS-1123 label, and the same in every run: no ID, no generated name and no order of networks reaches it.
func Name(c Container) string {
	for _, name := range []string{c.Labels[LabelWorkload], c.Labels[labelService], alias(c), imageName(c.Image), executable(c.Command)} {
		if l := label(name); l != "" {
			return l
		}
	}
	return unnamed
}

// alias returns the first alias in the network that the container was created in, else the least in any: Docker
// attaches a container to several networks in an order of chance.
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

// generatedAlias reports whether an alias is one that Docker adds: the container's ID, long or short, or the name that
// Docker gave it.
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

// label makes a DNS-1123 label of a name, or "" of one without a letter or digit.
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

// DNSName returns the name with dots of which [Name] makes a label: that of the compose service or the first alias, in lower
// case. It returns "" where Name rests on something else.
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
