package images

import (
	"fmt"
	"slices"
)

// recipe is the content of an image.
type recipe struct {
	Packages []string // of Debian, with all their dependencies
	Without  []string // files to leave out, as patterns of path.Match
	Users    []user
	Links    []link
	Files    []file
	Changes  []string // in the syntax of docker import --change
}

type user struct {
	Name string
	ID   int
	Home string // the user's home directory, which the user owns
	// Owned are more directories that the user owns.
	Owned []string
}

type link struct{ Name, To string }

// file is one of sources.
type file struct{ Name, Source string }

// has reports whether an image contains a file of sources.
func has(name, source string) bool {
	r := recipes[name]
	if len(r.Packages) == 0 {
		return matches("cmd/"+name+"/*.go", source)
	}
	return slices.ContainsFunc(r.Files, func(f file) bool { return f.Source == source })
}

// suite is the packages' release of Debian, with its security updates.
const suite = "bookworm"

// shell has the programs that testcontainers' wait strategies and the entry points below run.
var shell = []string{"dash", "coreutils", "grep", "mawk", "util-linux"}

// installers set packages up by Debian's own means, which does not happen here: each is large or would not run. Linked
// libraries stay.
var installers = []string{
	"adduser", "debconf", "debianutils", "dpkg", "init-system-helpers", "libdb5.3", "libgdbm*", "libperl*", "lib*-perl",
	"libsemanage*",
	"libsepol2", "lsb-base", "passwd", "perl*", "sysvinit-utils", "tar", "ucf", "usrmerge", "util-linux-extra",
}

var links = []link{{"usr/bin/sh", "dash"}, {"usr/bin/awk", "mawk"}}

var recipes = map[string]recipe{
	"peer": {Changes: []string{`ENTRYPOINT ["/peer"]`, `CMD ["wait"]`}},
	// Like testcontainers/sshd, which it replaces.
	"sshd": {Changes: []string{`EXPOSE 22`, `ENTRYPOINT ["/sshd"]`}},
	"kcat": {
		Packages: []string{"kcat"},
		Without:  installers,
		Changes:  []string{envPath(""), `ENTRYPOINT ["kcat"]`},
	},
	// Like the public image of that name: configuration in /etc/nginx/conf.d, logs to the container's.
	"nginx": {
		Packages: append([]string{"nginx"}, shell...),
		Without:  append([]string{"iproute2"}, installers...),
		Users:    []user{{Name: "www-data", ID: 33, Home: "var/www"}},
		Links: append([]link{
			{"var/log/nginx/access.log", "/dev/stdout"}, {"var/log/nginx/error.log", "/dev/stderr"},
		}, links...),
		Changes: []string{
			envPath(""), `EXPOSE 80`, `CMD ["nginx", "-g", "daemon off;"]`,
		},
	},
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
			"libllvm14", "libz3-4", "locales", "libc-l10n", "netbase", "openssl", "postgresql-common",
			"postgresql-client-common", "sensible-utils", "ssl-cert",
		}, installers...),
		Users: []user{{Name: "postgres", ID: 999, Home: "var/lib/postgresql",
			Owned: []string{"var/lib/postgresql/data", "run/postgresql"}}},
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
