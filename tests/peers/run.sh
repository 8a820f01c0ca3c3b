#!/usr/bin/env bash
# The embedded store beside UmaDB 0.7.8, in one run on one machine. UmaDB's server comes from its Python package, installed into
# a virtual environment under target/peers; the load is its own Rust client, which needs a protoc: that of grpcio-tools.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo=${CARGO:-cargo}
tools=target/peers/python
if [ ! -x "$tools/bin/umadb" ]; then
    echo "Installing UmaDB into $tools ..."
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet umadb==0.7.8 grpcio-tools
    printf '#!/bin/sh\nexec "%s" -m grpc_tools.protoc "$@"\n' "$PWD/$tools/bin/python" >"$tools/bin/protoc"
    chmod +x "$tools/bin/protoc"
fi
PROTOC="$PWD/$tools/bin/protoc" $cargo build --quiet --release --locked --manifest-path tests/peers/Cargo.toml --target-dir target/peers
$cargo bench --quiet --locked --no-run --workspace --bench durable_commands
data=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$tools/bin/umadb" --listen "127.0.0.1:$port" --db-path "$data/uma.db" >"$data/server.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$data"' EXIT
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "$server" || { cat "$data/server.log" >&2; exit 1; }
    sleep 0.1
done
echo "UmaDB 0.7.8, over gRPC on this machine (writers, appends/s, p50 ms, p99 ms):"
target/peers/release/daybook-peers "http://127.0.0.1:$port" | tee "$data/umadb"
kill "$server"
echo
echo "Daybook, in its own process, beside it:"
BENCH_PEER="$data/umadb" $cargo bench --quiet --locked --workspace --bench durable_commands
