# Two commands for a newcomer: `make demo` and `make test`. Both do all of their own set-up.
#
#   make demo    eleven agents trade recorded markets for 60 s, with a live view, then a report
#   make test    everything CI runs: checks, Rust tests, Python tests
#   make check   format, lint, types, import rules, stub equality
#   make bench   a table of timings, also in benchmarks/latest.json; bench-full: the same with large n
#                bench-peers: install what two rows are compared with (hftbacktest), once

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Outside the clone, so that a fresh clone builds warm.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/clawswarm/target
CORE_SOURCES := $(wildcard rust/core/Cargo.toml rust/core/src/*.rs rust/core/src/*/*.rs) Cargo.toml Cargo.lock
MODULE_SOURCES := $(CORE_SOURCES) $(wildcard rust/python/Cargo.toml rust/python/src/*.rs)
ENGINE_SOURCES := $(CORE_SOURCES) $(wildcard rust/engine/Cargo.toml rust/engine/src/*.rs rust/engine/src/*/*.rs)
SECONDS_OF_DEMO ?= 60
ON_TWO_CORES := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test check format bench bench-full bench-peers lock clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.built $(BIN)/claw-engine $(BIN)/claw-guard
	$(BIN)/claw up --mode sandbox --for $(SECONDS_OF_DEMO) --report report.json

# Whole swarms last and two at a time: what only computes would take their turns away. One of them that failed is
# run once more, alone: docs/decisions/0040.
test: check $(BIN)/claw-engine $(BIN)/claw-guard
	cargo test --workspace --quiet
	$(BIN)/python -m pytest $(ON_TWO_CORES) --ignore tests/faults
	$(BIN)/python -m pytest $(ON_TWO_CORES) --timeout 300 tests/faults || { test $$? -eq 1 && \
	    $(BIN)/python -m pytest --timeout 300 --last-failed --last-failed-no-failures none tests/faults; }

check: $(VENV)/.built
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	PYTHONPATH=python $(BIN)/python -m mypy.stubtest clawswarm._core
	cargo fmt --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings

format: $(VENV)/.built
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt

bench: $(VENV)/.built $(BIN)/claw-engine $(BIN)/claw-guard $(BIN)/cancel-bytes
	$(BIN)/python -m benchmarks.run

bench-full: $(VENV)/.built $(BIN)/claw-engine $(BIN)/claw-guard $(BIN)/cancel-bytes
	$(BIN)/python -m benchmarks.run --full

# Into an environment of its own: numba and a compiler that nothing else needs.
bench-peers: $(VENV)-bench/.installed

# New versions, on purpose: rewrites the locks (hashes, no index address).
lock: $(VENV)/.installed
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate --no-emit-index-url \
	    --extra convert --extra dev --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate --no-emit-index-url \
	    --output-file benchmarks/requirements.lock benchmarks/requirements.in

clean:
	rm -rf $(VENV) $(VENV)-bench .claw report.json benchmarks/latest.json python/clawswarm/*.so

$(VENV)-bench/.installed: benchmarks/requirements.lock
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	    --requirement benchmarks/requirements.lock
	touch $@

$(VENV)/.installed: requirements.lock | machine
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	touch $@

$(VENV)/.built: $(VENV)/.installed $(MODULE_SOURCES) pyproject.toml | machine
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# The execution engine and its guard, beside the interpreter: there the supervisor looks for them.
$(BIN)/claw-engine: $(ENGINE_SOURCES) | $(VENV)/.installed machine
	cargo build --quiet --release --locked --package claw-engine
	install -m 755 $(CARGO_TARGET_DIR)/release/claw-engine $(CARGO_TARGET_DIR)/release/claw-guard $(BIN)

$(BIN)/claw-guard: $(BIN)/claw-engine ;

# What `make bench` times outside Python.
$(BIN)/cancel-bytes: $(CORE_SOURCES) rust/core/benches/cancel_bytes.rs | $(VENV)/.installed machine
	cargo build --quiet --release --locked --package claw-core --example cancel_bytes
	install -m 755 $(CARGO_TARGET_DIR)/release/examples/cancel_bytes $@

# What must be there before anything is installed: one sentence for each thing that is not.
.PHONY: machine
machine:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "make: Python 3.11 or newer is needed; install it, or name it with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "make: Python's venv module is missing; install it (Debian: python3-venv)" >&2; exit 1; }
	@command -v cargo >/dev/null || \
	    { echo "make: no Rust toolchain (cargo) is on the PATH; install Rust 1.85 or newer" >&2; exit 1; }
	@command -v cc >/dev/null || \
	    { echo "make: no C compiler (cc) is on the PATH; install one (Debian: gcc)" >&2; exit 1; }
