# One command a task. `make demo` and `make test` are the two that a newcomer needs.

CARGO ?= cargo
# cargo-nextest where it is installed, plain `cargo test` elsewhere: the same tests.
TEST := $(shell command -v cargo-nextest >/dev/null 2>&1 && echo "nextest run --no-fail-fast" || echo "test --no-fail-fast")

.PHONY: demo run test lint bench bench-peers help

help:
	@echo "make demo   build, start, import real transactions, verify, and stay up"
	@echo "make run    start the server on ./daybook-data"
	@echo "make test   every test, on SQLite and on a PostgreSQL that is started for it"
	@echo "make lint   formatting and clippy"
	@echo "make bench  the tables of docs/performance.md, on this machine"
	@echo "make bench-peers  the embedded store beside UmaDB, which it installs into target/peers"

# What every build needs, in one line each where it is missing.
.PHONY: toolchain
toolchain:
	@command -v $(CARGO) >/dev/null || { echo "Rust 1.95 or later is needed: https://rustup.rs" >&2; exit 2; }
	@command -v cc >/dev/null || { echo "A C compiler is needed: apt-get install build-essential" >&2; exit 2; }

demo: toolchain
	@echo "Building Daybook (a few minutes the first time) ..."
	@$(CARGO) build --locked --workspace
	@target/debug/daybook demo

run: toolchain
	@$(CARGO) build --locked --workspace
	@target/debug/daybook serve

test: toolchain tests/prerequisites
	@$(CARGO) build --locked --workspace
	@tests/with-postgres.sh $(CARGO) $(TEST) --locked --workspace

# Installs what the tests need where it can, else says in one line what to install.
.PHONY: tests/prerequisites
tests/prerequisites:
	@tests/prerequisites.sh

lint: toolchain
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

bench: toolchain tests/prerequisites
	@DAYBOOK_TEST_POSTGRES_FSYNC=on tests/with-postgres.sh $(CARGO) bench --locked --workspace --bench durable_commands --bench sqlite_store --bench verification --bench authorisation --bench exports

bench-peers: toolchain
	@CARGO="$(CARGO)" tests/peers/run.sh
