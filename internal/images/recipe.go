package images

import (
	"fmt"
	"slices"
)

// recipe is what an image is made of.
type recipe struct {
	Packages []string // of Debian, with all that they depend on
	Without  []string // what of that stays out, in the pattern of path.Match
	Users    []user
	Links    []link
	Files    []file
	Changes  []string // as docker import --change takes them
}

type user struct {
	Name string
	ID   int
	Home string // a directory that is the user's, as Owned is
	// Owned are more directories that are the user's.
	Owned []string
}

type link struct{ Name, To string }

// file is one of sources.
type file struct{ Name, Source string }

// has reports whether a file of sources goes into an image.
func has(name, source string) bool {
	r := recipes[name]
	if len(r.Packages) == 0 {
		return matches("cmd/"+name+"/*.go", source)
	}
	return slices.ContainsFunc(r.Files, func(f file) bool { return f.Source == source })
}

// suite is the release of Debian that the packages are of, with its security updates.
const suite = "bookworm"

// shell is what a wait strategy of testcontainers runs inside a container, and what the entry points below need.
var shell = []string{"dash", "coreutils", "grep", "mawk", "util-linux"}

// installers are what packages need to be set up by Debian's own means, which does not happen here: each is large or
// would not run. What is linked against stays.
var installers = []string{
	"adduser", "debconf", "debianutils", "dpkg", "init-system-helpers", "libdb5.3", "libgdbm*", "libperl*", "lib*-perl", "libsemanage*",
	"libsepol2", "lsb-base", "passwd", "perl*", "sysvinit-utils", "tar", "ucf", "usrmerge", "util-linux-extra",
}

var links = []link{{"usr/bin/sh", "dash"}, {"usr/bin/awk", "mawk"}}

var recipes = map[string]recipe{
	"peer": {Changes: []string{`ENTRYPOINT ["/peer"]`, `CMD ["wait"]`}},
	// As testcontainers/sshd is, for which it stands.
	"sshd": {Changes: []string{`EXPOSE 22`, `ENTRYPOINT ["/sshd"]`}},
	"redis": {
		Packages: append([]string{"redis-server"}, shell...),
		Without:  installers,
		Users:    []user{{Name: "redis", ID: 999, Home: "data"}},
		Links:    links,
		Files:    []file{{"usr/local/bin/docker-entrypoint.sh", "files/redis.sh"}},
		Changes: []string{
			envPath(""), `WORKDIR /data`, `VOLUME /data`, `EXPOSE 6379`,
			`ENTRYPOINT ["docker-entrypoint.sh"]`, `CMD ["redis-server"]`,
		},
	},
	"postgres": {
		Packages: append([]string{"postgresql-15", "sed"}, shell...),
		// Without libllvm14 and its part of the server there is no just-in-time compilation: half of the size.
		Without: append([]string{
			"libllvm14", "libz3-4", "locales", "libc-l10n", "netbase", "openssl", "postgresql-common", "postgresql-client-common", "sensible-utils", "ssl-cert",
		}, installers...),
		Users: []user{{Name: "postgres", ID: 999, Home: "var/lib/postgresql", Owned: []string{"var/lib/postgresql/data", "run/postgresql"}}},
		Links: links,
		Files: []file{{"usr/local/bin/docker-entrypoint.sh", "files/postgres.sh"}},
		Changes: []string{
			envPath("/usr/lib/postgresql/15/bin"), `ENV PGDATA=/var/lib/postgresql/data`, `ENV LANG=C.UTF-8`,
			`VOLUME /var/lib/postgresql/data`, `EXPOSE 5432`,
			`ENTRYPOINT ["docker-entrypoint.sh"]`, `CMD ["postgres"]`,
		},
	},
}

func envPath(more string) string {
	const usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if more == "" {
		return "ENV PATH=" + usual
	}
	return fmt.Sprintf("ENV PATH=%s:%s", usual, more)
}
