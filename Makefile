# SPDX-License-Identifier: Apache-2.0
# Two commands do everything: `make demo` and `make test`. Both first install what is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FUZZ_SECONDS ?= 60
RUST_SOURCES := $(shell find bpf crates -type f) $(wildcard Cargo.lock) Cargo.toml
# rustup's own place is not in the PATH of every shell.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help setup build demo test check lint bench benign rulebench reloadbench equivalence fuzz oracle clean packages rust

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## Show the main job live, in a lab of network namespaces (as root)
	@$(BIN)/securedirect demo

test: build ## Run all tests (as root; without it those that need namespaces are skipped)
	cargo test --quiet --workspace --exclude sd-py
	@# Against the real kernel; "inside" is a half of others, and measuring takes long.
	@if [ "$$(id -u)" = 0 ]; then cargo test --quiet --workspace --exclude sd-py \
	  --test kernel --test hostile --test sandbox -- --ignored --skip inside --skip measured; fi
	$(BIN)/python -m pytest

bench: build ## Measure against HAProxy and ModSecurity (as root); writes build/bench.md and build/bench.json
	@$(BIN)/securedirect bench

benign: build ## Judge 100,000 generated ordinary requests and the list of attacks with the shipped rules
	@$(BIN)/python tests/traffic/report.py --shared

rulebench: build ## Measure what judging a request costs on one core; writes build/rulebench.md
	@$(BIN)/python -m securedirect.bench.rulecost

reloadbench: build ## Measure how long rules take to be read, and to be read again after changes
	@$(BIN)/python -m securedirect.bench.reading

equivalence: build ## What the kernel clears of the corpus' requests, and that no rule matches it (as root: minutes)
	@$(BIN)/python tests/oracle/clearing.py

check: lint test ## Everything that must pass before a change goes in

oracle: build ## Compare with other engines on the corpora beside the checkout; writes the tables of docs/
	@test -d ../shared/corpora || { echo "the corpora are not here: ../shared/corpora" >&2; exit 1; }
	$(BIN)/python tests/oracle/snort220.py --write docs/oracle.md
	$(BIN)/python tests/oracle/libhtp.py --write docs/http.md
	$(BIN)/python tests/oracle/suricata_verify.py
	$(BIN)/python tests/oracle/suricata_http.py --write docs/suricata-http.md || [ $$? = 77 ]
	$(BIN)/python tests/oracle/policy.py --write docs/policy.md

lint: build ## Formatters' and linters' opinions, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings

fuzz: build ## Fuzz each target for FUZZ_SECONDS (needs cargo-fuzz and a nightly toolchain)
	@cargo fuzz --version >/dev/null 2>&1 || { \
	  echo "cargo-fuzz is missing: cargo install cargo-fuzz, and rustup toolchain install nightly" >&2; exit 1; }
	@set -e; for target in $$(cargo +nightly fuzz list); do \
	  echo "fuzzing $$target"; cargo +nightly fuzz run -O "$$target" -- -max_total_time=$(FUZZ_SECONDS) -timeout=20; done
	$(BIN)/python fuzz/rules_text.py --seconds $(FUZZ_SECONDS)

setup: packages rust $(VENV)/.tools ## Install system packages and the Python environment

build: setup $(VENV)/.extension ## Build the extension with its kernel programs

clean: ## Remove everything that was built, the Python environment too
	rm -rf build target $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find python tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Packages bring services with them (nginx, haproxy, exim4, vsftpd). The lab starts its own; the machine's stay as they were: not
# started now (policy-rc.d), not at the next boot.
packages:
	@command -v dpkg-query >/dev/null || { \
	  echo "This is not Debian: the programs of packages.txt have to be there already." >&2; exit 0; }; \
	missing=""; for name in $$(sed 's/#.*//' packages.txt); do \
	  dpkg-query -W -f '$${db:Status-Status}' "$$name" 2>/dev/null | grep -qx installed || missing="$$missing $$name"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" -ne 0 ]; then \
	  echo "Packages are missing. As root: apt-get install$$missing" >&2; exit 1; fi; \
	echo "Installing$$missing"; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then \
	  trap 'rm -f /usr/sbin/policy-rc.d' EXIT; trap 'exit 130' INT TERM; \
	  printf '#!/bin/sh\nexit 101\n' >$$policy; chmod 755 $$policy; fi; \
	apt-get update -qq || echo "apt-get update had errors; trying with what is known" >&2; \
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing || exit 1; \
	if command -v systemctl >/dev/null; then for name in nginx haproxy exim4 vsftpd; do case "$$missing" in \
	  *$$name*) systemctl disable --quiet $$name >/dev/null 2>&1 || true;; esac; done; fi

rust:
	@command -v cargo >/dev/null || { \
	  echo "Rust is missing (cargo not found). Install 1.85 or newer with rustup, as rust-lang.org says;" \
	  "Debian's own is too old." >&2; exit 1; }
	@rustc --version | awk '{split($$2, v, "."); exit !(v[1] > 1 || v[2] >= 85)}' || { \
	  echo "$$(rustc --version) is too old: SecureDirect needs Rust 1.85 or newer (rustup update)" >&2; exit 1; }

$(VENV)/.tools: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$$($(PYTHON) --version) is too old: SecureDirect needs Python 3.11 or newer (make PYTHON=...)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2'
	@touch $@

$(VENV)/.extension: $(VENV)/.tools $(RUST_SOURCES)
	$(BIN)/maturin develop --release --extras dev
	@touch $@
