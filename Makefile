# Everything that CI runs has a name here; `make` lists the names.

# `make CARGO_FLAGS=--locked check` refuses to touch Cargo.lock; CI does that.
CARGO_FLAGS ?=
# How many cases each property test of `make soak` tries; the default elsewhere is 256.
CASES ?= 20000

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

# Seeds of `make sim-museum` and `make sim-swarm`.
SEEDS ?= 200

# Many scenarios with many seeds.
SWEEP = cargo run $(CARGO_FLAGS) --quiet --release -p evenkeel-sim --bin sweep --

# The pure crates: no servers, no cloud SDK, a short build.
PURE := -p evenkeel-core -p evenkeel-forecast -p evenkeel-sim

# Documents that are checked besides policies/ (`lint-yaml`).
DOCUMENTS = $(sort $(dir $(wildcard policies/*.yaml playbooks/*.yaml playbooks/*/*.yaml)))

# Recipes stop at the first failing command, also inside a pipe.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## Lists these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: need-cargo ## Builds and runs the agent on a made-up region; needs nothing but Rust
	cargo build $(CARGO_FLAGS) -p evenkeel-daemon -p evenkeel-cli \
	    --no-default-features --features evenkeel-daemon/demo --bins
	@exec $(TARGET_DIR)/debug/evenkeeld --demo

.PHONY: check
check: fmt-check clippy lint-yaml ## Format, lints, and the documents in the repository

.PHONY: fmt-check
fmt-check: need-cargo ## Format only
	cargo fmt --all --check

.PHONY: clippy
clippy: need-cargo ## Lints only
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings

.PHONY: lint-yaml
lint-yaml: build ## Checks the ready-made documents with `evenkeel check`
	@for path in $(DOCUMENTS); do \
	    echo "evenkeel check $$path"; \
	    $(TARGET_DIR)/debug/evenkeel check "$$path"; \
	done

# Tests and binaries in one go: built without the tests, tokio would have other
# features, and all that stands on it, the AWS SDKs first, would be compiled twice.
.PHONY: build
build: need-cargo ## Builds all binaries and tests
	cargo build $(CARGO_FLAGS) --workspace --bins --tests

# Needs promtool, which comes with Prometheus; so it is part of `test`, not of `check`.
.PHONY: lint-alerts
lint-alerts: test-parts ## Checks and tests the alerts, and that each has its runbook
	cd iac/alerts && promtool check rules evenkeel.rules.yaml && promtool test rules evenkeel.rules.test.yaml
	@diff <(sed -n 's/^ *- alert: //p' iac/alerts/evenkeel.rules.yaml | sort) \
	    <(ls runbooks/alerts | sed 's/\.md$$//' | grep -v '^README$$' | sort) || { \
	    echo 'alerts (<) and pages in runbooks/alerts/ (>) differ' >&2; exit 1; }
	@scripts/lint-dashboards.sh

.PHONY: dashboard-picture
dashboard-picture: need-cargo test-parts ## Draws iac/dashboards/*.svg from recorded series; TRACES=FOLDER has them
	cargo run $(CARGO_FLAGS) --quiet -p evenkeel-testbed --example dashboard_picture -- \
	    "$(TRACES)" iac/dashboards/evenkeel-budgets.json iac/dashboards/evenkeel-budgets.svg

.PHONY: test
test: need-cargo test-parts lint-alerts build ## Installs what the tests need, builds, and runs everything
	cargo test $(CARGO_FLAGS) --workspace

.PHONY: test-fast
test-fast: need-cargo ## Tests of the pure crates only: core, forecast, simulations
	cargo test $(CARGO_FLAGS) $(PURE)

# The test is part of `test` with half a day; this is the same for a whole quarter.
.PHONY: slo-equal
slo-equal: need-cargo test-parts ## Prometheus evaluates exported SLO rules for DAYS days (default 90) to the agent's verdicts
	EVENKEEL_SLO_DAYS=$(or $(DAYS),90) cargo test $(CARGO_FLAGS) -p evenkeel-testbed --test slo_rules -- --nocapture

.PHONY: test-parts
test-parts: ## Installs Prometheus and HAProxy (apt) and moto's server (target/test-parts); run once
	@scripts/test-parts.sh

.PHONY: features
features: need-cargo ## Lints every feature alone
	@for feature in "" aws haproxy webhook allowed simulated; do \
	    echo "evenkeel-providers with only '$$feature'"; \
	    cargo clippy $(CARGO_FLAGS) -p evenkeel-providers --no-default-features \
	        --features "$$feature" -- -D warnings; \
	done
	@for feature in webhook demo; do \
	    echo "evenkeel-daemon with only '$$feature'"; \
	    cargo clippy $(CARGO_FLAGS) -p evenkeel-daemon --no-default-features \
	        --features "$$feature" -- -D warnings; \
	done

.PHONY: golden
golden: need-cargo test-parts ## Rewrites the expected output in tests; read the diff
	UPDATE_EXPECT=1 cargo test $(CARGO_FLAGS) --workspace

.PHONY: soak
soak: need-cargo ## Property tests with CASES cases each, 10000 seeds in the simulator, 10000 kills; takes hours
	$(SWEEP) museum --seeds 10000
	$(SWEEP) swarm --seeds 10000
	PROPTEST_CASES=$(CASES) cargo test $(CARGO_FLAGS) $(PURE) -p evenkeel-store
	EVENKEEL_KILLS=10000 cargo test $(CARGO_FLAGS) -p evenkeel-store --test kills -- --nocapture

.PHONY: sim-museum
sim-museum: need-cargo ## The incident museum with SEEDS seeds (default 200): safety, recovery, harm
	$(SWEEP) museum --seeds $(SEEDS)

.PHONY: sim-heal
sim-heal: need-cargo ## The ready-made playbooks in their scenarios, with SEEDS seeds: healed, verified, no harm
	$(SWEEP) museum --seeds $(SEEDS) $(filter-out %/heal-quiet.yaml,$(wildcard simulations/scenarios/heal-*.yaml))

.PHONY: sim-quiet
sim-quiet: need-cargo ## Thirty quiet days with all playbooks: no incident; takes minutes
	$(SWEEP) museum --seeds 2 simulations/scenarios/heal-quiet.yaml

.PHONY: sim-swarm
sim-swarm: need-cargo ## Faults and people that seeds draw, with 50 seeds
	$(SWEEP) swarm --seeds 50

.PHONY: sim-gate
sim-gate: need-cargo ## Fails when a change made cost, time below the objective or changes worse
	$(SWEEP) gate

.PHONY: sim-golden
sim-golden: need-cargo ## Writes the golden scorecards of `make sim-gate` anew; say why in the commit
	$(SWEEP) golden

.PHONY: bench-sim
bench-sim: need-cargo ## Speed of the simulator, of requests one by one, and of a replay
	$(SWEEP) speed --days 10
	cargo run $(CARGO_FLAGS) --quiet --release -p evenkeel-sim --example event_rate
	cargo bench $(CARGO_FLAGS) --quiet -p evenkeel-sim --bench replay

.PHONY: planted-bugs
planted-bugs: need-cargo ## Plants bugs into a copy of the core; its tests must catch each, and the simulator its own
	@scripts/planted-bugs.sh
	@scripts/planted-bugs-sim.sh

.PHONY: planted-bugs-sim
planted-bugs-sim: need-cargo ## Only the bugs that the simulator must catch, with the seeds that do
	@scripts/planted-bugs-sim.sh

.PHONY: bench
bench: need-cargo ## Speed and memory, with the machine they were measured on
	@echo "machine: $$(uname -sm), $$(nproc) cores, \
	$$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), \
	$$(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
	cargo bench $(CARGO_FLAGS) -p evenkeel-core --bench budgets
	cargo bench $(CARGO_FLAGS) -p evenkeel-store
	cargo bench $(CARGO_FLAGS) -p evenkeel-daemon --no-default-features --features demo

.PHONY: bench-forecast
bench-forecast: need-cargo ## Accuracy and speed of forecasts on real series; writes agent/forecast/BENCHMARKS.md
	@CARGO_FLAGS="$(CARGO_FLAGS)" scripts/bench-forecast.sh

.PHONY: deny
deny: need-cargo ## Licences, sources and duplicates of all dependencies
	@cargo deny --version >/dev/null 2>&1 || { \
	    echo 'cargo-deny is not installed; run `cargo install --locked cargo-deny`' >&2; exit 1; }
	cargo deny --workspace --all-features check bans licenses sources

.PHONY: need-cargo
need-cargo:
	@command -v cargo >/dev/null || { \
	    echo 'cargo is not installed; get Rust from https://rustup.rs' >&2; exit 1; }
