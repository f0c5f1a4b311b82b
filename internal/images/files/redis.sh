#!/bin/sh
# Starts Redis as the public image of that name does, as far as tests need it.
set -eu
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- redis-server "$@"
fi
if [ "$1" = redis-server ]; then
	# In a container nobody is local: in protected mode nobody could connect.
	case " $* " in
	*" --protected-mode "*) ;;
	*) set -- "$@" --protected-mode no ;;
	esac
	if [ "$(id -u)" = 0 ]; then
		chown redis:redis .
		set -- setpriv --reuid=redis --regid=redis --clear-groups "$@"
	fi
fi
exec "$@"
