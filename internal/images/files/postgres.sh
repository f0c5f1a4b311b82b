#!/bin/sh
# Starts PostgreSQL as the public image of that name does, as far as tests need it: POSTGRES_USER, POSTGRES_PASSWORD,
# POSTGRES_DB, POSTGRES_HOST_AUTH_METHOD, POSTGRES_INITDB_ARGS, and *.sql and *.sh of /docker-entrypoint-initdb.d. The
# server that sets up the database has none of the command's settings, and does not listen on TCP.
set -eu
if [ "${1#-}" != "$1" ]; then
	set -- postgres "$@"
fi
if [ "$1" != postgres ]; then
	exec "$@"
fi

if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA" /run/postgresql
	chown postgres:postgres "$PGDATA" /run/postgresql
	chmod 700 "$PGDATA"
	exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi

POSTGRES_USER=${POSTGRES_USER:-postgres}
POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
export POSTGRES_USER POSTGRES_DB

setup() {
	if [ -z "${POSTGRES_PASSWORD-}" ] && [ "${POSTGRES_HOST_AUTH_METHOD-}" != trust ]; then
		echo "netzero/postgres: set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust" >&2
		exit 1
	fi
	method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
	password=$(mktemp)
	printf '%s\n' "${POSTGRES_PASSWORD:-none}" >"$password"
	# shellcheck disable=SC2086 # several arguments
	initdb --username="$POSTGRES_USER" --pwfile="$password" --auth-local=trust --auth-host="$method" \
		--encoding=UTF8 --locale=C.UTF-8 --no-sync ${POSTGRES_INITDB_ARGS-}
	rm "$password"
	echo "host all all all $method" >>"$PGDATA/pg_hba.conf"
	echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"

	pg_ctl start --wait --options="-c listen_addresses='' -c fsync=off"
	if [ "$POSTGRES_DB" != postgres ]; then
		createdb --username="$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_DB"
	fi
	for script in /docker-entrypoint-initdb.d/*; do
		case $script in
		*.sql) psql -v ON_ERROR_STOP=1 --no-password --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --file="$script" ;;
		*.sh) if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
		'/docker-entrypoint-initdb.d/*') ;;
		*) echo "netzero/postgres: ignores $script" >&2 ;;
		esac
	done
	pg_ctl stop --wait --mode=fast
}

if ! [ -s "$PGDATA/PG_VERSION" ]; then
	setup
fi
exec "$@"
