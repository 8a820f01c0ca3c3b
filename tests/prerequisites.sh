#!/usr/bin/env bash
# Makes sure that what the tests need beside Rust is there: PostgreSQL server binaries, and python3 for the independent
# verifier. Installs them with apt-get when run as root on Debian; elsewhere says what to install.
set -euo pipefail
# pymerkle, an independent tree to compare with; pyarrow, an independent reader of Parquet; moto, a server that speaks S3:
# tests use them where they are, and say so where they are not.
python_tools() {
    local tools=target/python packages=(pymerkle==7.0.0 pyarrow==26.0.1 "moto[s3,server]==5.2.5")
    [ "$(cat "$tools/installed" 2>/dev/null)" = "${packages[*]}" ] && return 0
    python3 -m venv "$tools" >/dev/null 2>&1 && "$tools/bin/pip" install --quiet "${packages[@]}" >/dev/null 2>&1 &&
        echo "${packages[*]}" >"$tools/installed" && return 0
    rm -rf "$tools"
    echo "pymerkle, pyarrow and moto could not be installed: the tests that need them are left out" >&2
}
missing=()
command -v python3 >/dev/null 2>&1 || missing+=(python3)
if ! command -v pg_ctl >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1; then
    missing+=(postgresql)
fi
if [ ${#missing[@]} = 0 ]; then
    python_tools
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing ${missing[*]} ..."
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "The tests need: ${missing[*]} (Debian: apt-get install ${missing[*]})" >&2
    exit 2
fi
python_tools
