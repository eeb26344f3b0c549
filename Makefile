# Everyday commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

WEB := crates/dashboard/web
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public -type f 2>/dev/null) \
	$(WEB)/index.html $(WEB)/vite.config.ts $(WEB)/tsconfig.json
# The codec for browsers and its model: built and copied here, then hashed and embedded with the rest.
AIC_FILES := $(WEB)/src/aic/files
AIC_MODEL := crates/aic-codec/models/aic16m-1
AIC_SOURCES := $(shell find crates/aic-wasm/src crates/aic-codec/src -name '*.rs' 2>/dev/null) \
	crates/aic-wasm/Cargo.toml crates/aic-codec/Cargo.toml .cargo/config.toml
AIC_WEB := $(AIC_FILES)/aic.wasm $(patsubst %,$(AIC_FILES)/%,manifest.json encoder.onnx decoder.onnx codebooks.f16)
# Debian's own: the one that deploy/packages.debian completes.
PYTHON := $(firstword $(wildcard /usr/bin/python3) python3)
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
export AURALINK_VENV := $(abspath $(or $(AURALINK_VENV),tests/interop/python/.venv))
# PyTorch for the codec's training and its judges: large, so apart from the other one.
export AIC_VENV := $(abspath $(or $(AIC_VENV),$(AURALINK_VENV)-aic))
export npm_config_fund := false
export npm_config_audit := false

.PHONY: help setup setup-test run test check fmt bench-aic bench-api bench-sfu fuzz images samples web

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Install what building and running needs (as root; else prints what to install)
	deploy/setup.sh run build
	@$(MAKE) --no-print-directory $(WEB)/node_modules/.ready

setup-test: ## Install what the tests need besides: Chromium, Python's LiveKit client, Node packages, a newer PostgreSQL
	deploy/setup.sh run build test
	@$(MAKE) --no-print-directory $(WEB)/node_modules/.ready tests/browser/node_modules/.ready \
		tests/interop/node/node_modules/.ready tests/postgres/node_modules/.ready $(AURALINK_VENV)/.ready $(AIC_VENV)/.ready

run: setup web ## Build everything and start it on this machine; options: make run ARGS="--http-port 9000"
	cargo build --bin auralink --bin webrtc-sfu --bin dashboard --bin aic-codec
	exec $(TARGET_DIR)/debug/auralink up $(ARGS)

test: setup-test ## Run every test, browsers and foreign clients included
	tests/run.sh

check: web ## Format, lints, dependency rules, architecture
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p aura-room -p aic-codec -- -D warnings
	if command -v cargo-deny >/dev/null; then cargo deny check; else echo 'cargo-deny is not installed: skipped'; fi
	cargo test -p auralink-tests --test architecture

fmt: ## Format the Rust code
	cargo fmt --all

bench-aic: web $(AIC_VENV)/.judges ## The codec beside Opus: quality, time, bytes; writes target/bench/aic.json
	cargo build --release --bin auralink --bin webrtc-sfu --bin dashboard --bin aic-codec
	cargo build --release -p auralink-tests --bin bench-aic --features opus-dnn
	@# The judges bring ONNX Runtime along: the other backend is timed and compared too.
	BENCH_ONNXRUNTIME=$$(echo $(AIC_VENV)/lib/python*/site-packages/onnxruntime/capi/libonnxruntime.so.*) \
		$(TARGET_DIR)/release/bench-aic

samples: ## The recordings of the listening page, from what bench-aic rendered
	node $(WEB)/scripts/bench-samples.mjs $(TARGET_DIR)/bench/aic docs/benchmarks/aic-scores.csv
	node $(WEB)/scripts/make-samples.mjs $(TARGET_DIR)/bench/aic

bench-api: web ## REST latency and joins per second; writes target/bench/api.json
	cargo build --release --bin auralink --bin webrtc-sfu --bin dashboard --bin bench-api
	$(TARGET_DIR)/release/bench-api

bench-sfu: ## Forwarded packets per CPU-second; writes target/bench/sfu.json
	cargo build --release --bin webrtc-sfu --bin bench-sfu
	$(TARGET_DIR)/release/bench-sfu

fuzz: ## Coverage-guided fuzzing for a minute: make fuzz TARGET=sdp (TIME=600 for ten)
	@if [[ -z "$(TARGET)" ]]; then \
		echo "choose one: make fuzz TARGET=...  ($$(basename -s .rs fuzz/fuzz_targets/*.rs | tr '\n' ' '))" >&2; exit 1; fi
	@command -v cargo-fuzz >/dev/null || { echo 'cargo-fuzz is missing; run: cargo install cargo-fuzz' >&2; exit 1; }
	@# Sanitizers need nightly; without it the coverage guidance still works.
	if cargo +nightly --version >/dev/null 2>&1; then cargo +nightly fuzz run $(TARGET) -- -max_total_time=$(or $(TIME),60); \
	else cargo fuzz run --sanitizer none $(TARGET) -- -max_total_time=$(or $(TIME),60); fi

images: ## Container images of the services, with docker or podman
	deploy/images.sh

web: $(WEB)/dist/index.html ## Build the web app

$(WEB)/dist/index.html: $(WEB)/node_modules/.ready $(WEB_SOURCES) $(AIC_WEB)
	npm --prefix $(WEB) run build
	touch $@

$(AIC_FILES)/aic.wasm: $(AIC_SOURCES)
	@if [[ ! -d $$(rustc --print target-libdir --target wasm32-unknown-unknown) ]]; then \
		rustup target add wasm32-unknown-unknown; fi
	cargo build -p aic-wasm --target wasm32-unknown-unknown --profile wasm
	mkdir -p $(@D)
	cp $(TARGET_DIR)/wasm32-unknown-unknown/wasm/aic_wasm.wasm $@

$(AIC_FILES)/%: $(AIC_MODEL)/%
	mkdir -p $(@D)
	cp $< $@

%/node_modules/.ready: %/package-lock.json
	npm ci --prefix $* --no-progress
	touch $@

$(AURALINK_VENV)/.ready: tests/interop/python/requirements.txt
	$(PYTHON) -m venv --clear $(AURALINK_VENV)
	$(AURALINK_VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(AIC_VENV)/.ready: crates/aic-codec/training/requirements.txt
	$(PYTHON) -m venv $(AIC_VENV)
	$(AIC_VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(AIC_VENV)/.judges: crates/aic-codec/training/requirements-full.txt $(AIC_VENV)/.ready
	$(AIC_VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
