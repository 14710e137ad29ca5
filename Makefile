# Everything one does with a checkout. Needs make, git, node 20 or later and npm; the Node that runs Plumbline comes as a
# package, and Java, Maven, openssl and Redis are installed by apt-get when they are missing (else the command is named).
.DEFAULT_GOAL := help
SHELL := /bin/sh
# Options of a target: make up ARGS="--nodes 5", make test-unit ARGS=platform/
ARGS ?=
# The checkout's own programs, run by its own Node. Not for npm: that one must run by the Node it came with.
RUN := PATH="$(CURDIR)/node_modules/.bin:$$PATH"
INSTALLED := node_modules/.package-lock.json

.PHONY: help setup up demo test test-unit test-real test-containers test-compose soak sim sim-mutations lint format typecheck audit-deps docs bench bench-burst clean

help: ## list what there is to make
	@printf 'make <target>, options by ARGS="…"\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## install the packages (the other targets do so by themselves)

# Where the system's libraries are: a test's folder in test/makefile.test.ts.
SYSTEM ?=
# Again when the lock file is newer than what is installed, or the Node is missing. Install scripts run for the package
# "node" alone, which fetches its program by one; where npm is set to run none at all, it is run here.
NODE := node_modules/node/bin/node
ifeq ($(wildcard $(NODE)),)
.PHONY: $(INSTALLED)
endif
$(INSTALLED): package-lock.json package.json .npmrc
	@command -v node >/dev/null && command -v npm >/dev/null || { echo 'node and npm are not installed: Node 20 or later is needed, see https://nodejs.org, or run this in the image node:24-bookworm-slim' >&2; exit 1; }
	@node -e 'process.exit(+process.versions.node.split(".")[0] >= 20 ? 0 : 1)' || { echo "Node $$(node --version) is too old (Debian 12 has 18): install Node 20 or later from https://nodejs.org, or run this in the image node:24-bookworm-slim" >&2; exit 1; }
	@! ls $(SYSTEM)/lib/ld-musl-* >/dev/null 2>&1 || ls $(SYSTEM)/lib64/ld-linux-* >/dev/null 2>&1 || ls $(SYSTEM)/lib/ld-linux-* >/dev/null 2>&1 || { echo "this system has musl in place of glibc (Alpine): the package 'node' does not run on it; use a Debian or Fedora image, for instance node:24-bookworm-slim" >&2; exit 1; }
	npm ci --no-audit --no-fund
	@$(NODE) --version >/dev/null 2>&1 || (cd node_modules/node && node installArchSpecificPackage.js)
	@$(NODE) --version >/dev/null 2>&1 || { echo 'npm has not installed the program of the package "node": allow its install script and run "make setup" again' >&2; exit 1; }
	@touch $@

up: $(INSTALLED) ## start the whole pipeline here, with a live panel; Ctrl-C stops it
	@bin/plumbline up $(ARGS)

demo: $(INSTALLED) ## the pipeline for a minute with real data, then an audit and example answers
	@bin/plumbline demo $(ARGS)

test: $(INSTALLED) ## lint, types, unit tests and tests on real Kafka; ends with a line of totals
	@$(RUN) node test/run.ts

test-unit: $(INSTALLED) ## the quick tests: pure, without processes
	@$(RUN) vitest run --project unit $(ARGS)

test-real: $(INSTALLED) ## the tests on real Kafka, Redis and processes
	@$(RUN) vitest run --project real $(ARGS)

test-containers: $(INSTALLED) ## the tests on real Kafka with the broker as a container; needs a Docker engine
	@$(RUN) TEST_BROKER=container vitest run --project real $(ARGS)

test-compose: $(INSTALLED) ## docker compose up for real: kills, scaling, dashboard, audit; needs a Docker engine
	@$(RUN) vitest run --project docker --bail 1 $(ARGS)

soak: $(INSTALLED) ## longer: many more properties, and the whole pipeline under kills with more load in between
	@$(RUN) FC_RUNS=20000 vitest run --project unit --testTimeout 1800000
	@$(RUN) SOAK=1 vitest run --project real test/faults $(ARGS)

# make sim SEEDS=1..500, make sim SEED=42
SEEDS ?= $(or $(SEED),1..100)
sim: $(INSTALLED) ## the pipeline on a simulated broker under seeded faults: SEEDS=1..500, or SEED=42 to repeat one
	@$(RUN) node sim/main.ts run --seeds $(SEEDS) $(ARGS)

sim-mutations: $(INSTALLED) ## the same with bugs put in on purpose, which it must find
	@$(RUN) node sim/main.ts mutations $(ARGS)

lint: $(INSTALLED) ## check rules, the walls between rooms, and formatting
	@$(RUN) eslint .
	@$(RUN) prettier --check --log-level warn .

format: $(INSTALLED) ## format all files
	@$(RUN) prettier --write --log-level warn .

typecheck: $(INSTALLED) ## check types
	@$(RUN) tsc --noEmit

audit-deps: $(INSTALLED) ## known vulnerabilities and licences of the packages that are shipped
	@npm audit --omit=dev --json 2>/dev/null | $(RUN) node deploy/audit-deps/main.ts

docs: $(INSTALLED) ## write the generated tables of docs/reference.md
	@bin/plumbline settings --write docs/reference.md

bench: $(INSTALLED) ## measure: make bench ARGS="refine --records 2000000 --sensors 1000"
	@bin/plumbline bench $(ARGS)

bench-burst: $(INSTALLED) ## bursts and brownouts, with a report: make bench-burst ARGS="--rate 2000 --find-max"
	@bin/plumbline bench burst $(ARGS)

clean: ## remove the kept data (not Kafka's jars); stop "up" first
	@bin/plumbline clean
