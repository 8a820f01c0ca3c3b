#!/usr/bin/env bash
# Runs a command with a throwaway PostgreSQL: starts a cluster in a temporary folder on a free port, exports
# DAYBOOK_TEST_POSTGRES_URL, runs the command, stops the cluster. Uses a given DAYBOOK_TEST_POSTGRES_URL as it is.
#   tests/with-postgres.sh cargo nextest run
# DAYBOOK_TEST_POSTGRES_FSYNC=on keeps durability on (benchmarks); the default is off (tests).
set -euo pipefail
if [ -n "${DAYBOOK_TEST_POSTGRES_URL:-}" ]; then exec "$@"; fi

bin=$(dirname "$(command -v pg_ctl || ls -d /usr/lib/postgresql/*/bin/pg_ctl 2>/dev/null | sort -V | tail -n 1)")
if [ ! -x "$bin/initdb" ]; then
    echo "PostgreSQL is needed: apt-get install postgresql" >&2
    exit 2
fi
# The server refuses to run as root.
as_owner=()
if [ "$(id -u)" = 0 ]; then as_owner=(runuser -u postgres --); fi
folder=$(mktemp -d /tmp/daybook-postgres.XXXXXX)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
stop() {
    "${as_owner[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT
(cd "$folder" && "${as_owner[@]}" "$bin/initdb" -N -D "$folder/data" -U daybook -A trust --locale=C --encoding=UTF8 >/dev/null)
"${as_owner[@]}" "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" start >/dev/null -o "-p $port -k $folder \
    -c listen_addresses=127.0.0.1 -c fsync=${DAYBOOK_TEST_POSTGRES_FSYNC:-off} \
    -c synchronous_commit=${DAYBOOK_TEST_POSTGRES_FSYNC:-off} -c max_connections=300 -c shared_buffers=256MB \
    -c max_wal_size=2GB"
export DAYBOOK_TEST_POSTGRES_URL="postgres://daybook@127.0.0.1:$port/postgres"
"$@"
