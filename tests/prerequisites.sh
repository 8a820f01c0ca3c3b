#!/usr/bin/env bash
# Makes sure that what the tests need beside Rust is there: PostgreSQL server binaries, and python3 for the independent
# verifier. Installs them with apt-get when run as root on Debian; elsewhere says what to install.
set -euo pipefail
missing=()
command -v python3 >/dev/null 2>&1 || missing+=(python3)
if ! command -v pg_ctl >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1; then
    missing+=(postgresql)
fi
if [ ${#missing[@]} = 0 ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing ${missing[*]} ..."
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "The tests need: ${missing[*]} (Debian: apt-get install ${missing[*]})" >&2
    exit 2
fi
