# One command a task. `make demo` and `make test` are the two that a newcomer needs.

CARGO ?= cargo
# cargo-nextest where it is installed, plain `cargo test` elsewhere: the same tests.
TEST := $(shell command -v cargo-nextest >/dev/null 2>&1 && echo "nextest run --no-fail-fast" || echo "test --no-fail-fast")

.PHONY: demo run test lint bench docs-check help

help:
	@echo "make demo   build, start, import real transactions, verify, and stay up"
	@echo "make run    start the server on ./daybook-data"
	@echo "make test   every test, on SQLite and on a PostgreSQL that is started for it"
	@echo "make lint   formatting and clippy"
	@echo "make bench  the tables of docs/performance.md, on this machine"

demo:
	@echo "Building Daybook (a few minutes the first time) ..."
	@$(CARGO) build --locked --workspace
	@target/debug/daybook demo

run:
	@$(CARGO) build --locked --workspace
	@target/debug/daybook serve

test: tests/prerequisites
	@$(CARGO) build --locked --workspace
	@tests/with-postgres.sh $(CARGO) $(TEST) --locked --workspace

# Installs what the tests need where it can, else says in one line what to install.
.PHONY: tests/prerequisites
tests/prerequisites:
	@tests/prerequisites.sh

lint:
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

bench: tests/prerequisites
	@DAYBOOK_TEST_POSTGRES_FSYNC=on tests/with-postgres.sh $(CARGO) bench --locked --workspace --bench durable_commands
