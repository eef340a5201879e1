# Everything a person types here. `make help` lists it.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CONFIG ?= config.json
URL ?= http://127.0.0.1:8880
VENV := .venv
BIN := $(VENV)/bin
CODE := tracker tests bench docs cluster
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# Tests start hundreds of processes: each would compile the whole program anew.
unexport PYTHONDONTWRITEBYTECODE

CLUSTER := $(BIN)/python -m cluster
ONE := data/clickhouse-server
FORM ?= single
SURE_WITH = [ "$(SURE)" = yes ] || { echo "This removes data: make $@ SURE=yes" >&2; exit 2; };

.DEFAULT_GOAL := help
.PHONY: help run install install-clickhouse install-dev test test-long reliability lint format bench fuzz browser-test docs lock clean \
	build deps fmt benchmark test-all test-single test-cluster test-db-writes info status \
	docker-build docker-run docker-stop docker-clean docker-logs docker-shell docker-clickhouse-shell docker-verify-tables \
	docker-test-events docker-test-messaging docker-test-all docker-rebuild-test docker-test \
	cluster-start cluster-stop cluster-status cluster-logs cluster-test cluster-clean \
	clickhouse-start clickhouse-stop clickhouse-status db-console db-reset db-clean db-admin schema-load schema-verify \
	test-functional-health test-functional-events test-functional-ltv test-functional-ltv-batch test-functional-redirects \
	test-functional-privacy test-functional-jurisdictions test-functional-batch test-functional-e2e test-functional-all

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-29s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## install what is needed and serve with config.json (CONFIG=other.json)
	@exec $(BIN)/python -m tracker $(CONFIG)

install: $(VENV)/.installed ## virtual environment with the locked dependencies

install-clickhouse: $(VENV)/.installed-clickhouse ## the same, with ClickHouse's engine for "Hosts": ["embedded"] (chdb, 0.6 GB)

install-dev: $(VENV)/.installed-dev ## the same, with what tests and lint need

# Hundreds of processes are started: each finds its modules compiled, also where nothing may be written beside them.
test test-long reliability: export PYTHONDONTWRITEBYTECODE =
test test-long reliability: export PYTHONPYCACHEPREFIX = $(CURDIR)/$(VENV)/pycache

test: install-dev ## the everyday tests (under five minutes)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-long: install-dev ## what takes longer: a hundred kills, mutation checks, attacks, power cuts (under 20 minutes)
	$(BIN)/python -m pytest -m long -n 2 --dist loadfile --timeout 900 --durations 40 --durations-min 5

reliability: install-dev ## 1,000 kills, 1,000,000 acknowledged events (most of an hour; RELIABILITY="--kills 50 --seed 7")
	$(BIN)/python -m tests.reliability $(RELIABILITY)

lint: install-dev ## format, lint and strict types
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)

format: install-dev ## put the code into shape
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: install-dev ## measure, and print ratios against a bare handler (minutes; BENCH="--quick" for a glance)
	$(BIN)/python -m bench $(BENCH)

fuzz: $(VENV)/.installed-fuzz ## look for bytes that break a parser (FUZZ_SECONDS=60 each, FUZZ_PARSERS="body gzip")
	nice $(BIN)/python -m tests.fuzz

browser-test: $(VENV)/.installed-browser ## use the helper pages in Chromium (Debian: apt-get install chromium)
	$(BIN)/python -m pytest -m browser tests/browser

docs: install-dev ## write docs/configuration.md, metrics.md and tables.md from the code
	$(BIN)/python -m docs.reference

lock: ## resolve the dependencies anew into the three lock files
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip --quiet install uv
	.venv-lock/bin/uv pip compile --quiet --upgrade pyproject.toml --extra build --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --output-file requirements.lock
	.venv-lock/bin/uv pip compile --quiet --upgrade pyproject.toml --extra build --extra embedded-clickhouse --constraint requirements.lock --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --output-file requirements-clickhouse.lock
	.venv-lock/bin/uv pip compile --quiet --upgrade pyproject.toml --extra build --extra dev --extra embedded-clickhouse --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --output-file requirements-dev.lock

clean: ## remove what was installed and built; data/ stays
	rm -rf $(VENV) .venv-lock build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

build: install ## as install
deps: install-dev ## as install-dev
fmt: format ## as format
benchmark: bench ## as bench
test-all: lint test test-long ## lint, test, test-long
test-single: docker-test-all ## as docker-test-all
test-cluster: cluster-test ## as cluster-test

test-db-writes: install-dev ## what every store must do with rows, and both stores compared row by row
	$(BIN)/python -m pytest -m "long or not long" tests/contracts tests/integration/test_side_by_side.py

# Calls to a running server (URL=http://127.0.0.1:8880), whose rows are then asked for (CONFIG=config.json).

test-functional-health: ## ping, health, status and metrics answer
test-functional-events: ## an event by URL, by POST, by a server and over a WebSocket
test-functional-ltv: ## a payment, the same again, one in its least form; their sums
test-functional-ltv-batch: ## two payments in one call
test-functional-redirects: ## a short link made, listed and followed, by an account of its own
test-functional-privacy: ## consent told and asked for, and the caller's place
test-functional-jurisdictions: ## the laws of consent are listed
test-functional-batch: ## a hundred events
test-functional-e2e: ## a visitor from the first page to a purchase
test-functional-all: ## all of these
test-functional-health test-functional-events test-functional-ltv test-functional-ltv-batch test-functional-redirects \
test-functional-privacy test-functional-jurisdictions test-functional-batch test-functional-e2e test-functional-all: install
	@$(BIN)/python -m tests.functional $(@:test-functional-%=%) --url $(URL) --config $(CONFIG)

info: ## what is installed here
	@$(PYTHON) --version
	@$(BIN)/python -m tracker --version 2>/dev/null || echo "tracker: not installed yet (make install)"
	@docker info >/dev/null 2>&1 && docker version --format 'docker {{.Server.Version}}' || echo "docker: does not answer"
	@clickhouse --version 2>/dev/null || echo "clickhouse: not on the PATH"

status: ## how the server of config.json is, and the ClickHouse servers started here
	@$(BIN)/python -m tracker status --config $(CONFIG) || true
	@for home in data/cluster $(ONE); do if [ -e $$home/cluster.json ]; then $(CLUSTER) status --home $$home; fi; done

# Docker: cluster/docker.sh says what can be set (WITH_CLICKHOUSE=1, DOCKER_NETWORK=host, TRACKER_PORT=…).

docker-build: ## the image tracker:latest (WITH_CLICKHOUSE=1: tracker-clickhouse:latest)
docker-run: ## the image in a container v4-tracker-1, until it is healthy
docker-stop: ## remove the container; its volumes stay
docker-clean: ## remove container, image and volumes with their data (SURE=yes)
docker-logs: ## its last lines
docker-shell: ## a shell in it
docker-clickhouse-shell: ## ClickHouse's client in it
docker-verify-tables: ## whether every table is there
docker-test-events: ## five events in, five rows out
docker-test-messaging: ## an event of a message thread in, its rows out
docker-test-all: ## the three above
docker-rebuild-test: ## build, run, docker-test-all
docker-build docker-run docker-stop docker-clean docker-logs docker-shell docker-clickhouse-shell docker-verify-tables \
docker-test-events docker-test-messaging docker-test-all docker-rebuild-test:
	@./cluster/docker.sh $(@:docker-%=%)

docker-test: install-dev ## build and run the image in a Docker of the tests' own (root; some minutes)
	$(BIN)/python -m pytest -m docker

# ClickHouse: cluster/README.md says what can be set (CLUSTER_OPTIONS="--shards 3 --replicas 2").

cluster-start: install ## three ClickHouse servers by Docker Compose, else by a `clickhouse` binary, with all tables
	@$(CLUSTER) start $(CLUSTER_OPTIONS)

cluster-stop: install ## stop them; their data stays
cluster-status: install ## one line for each server
cluster-logs: install ## the last lines of each
cluster-test: install ## write, stop a server under load, count, start it again
cluster-stop cluster-status cluster-logs cluster-test:
	@$(CLUSTER) $(@:cluster-%=%)

cluster-clean: install ## stop them and remove their data (SURE=yes)
	@$(SURE_WITH) $(CLUSTER) clean

clickhouse-start: install ## one server by a `clickhouse` binary, with all tables
	@$(CLUSTER) start --home $(ONE) --runner native --shards 1 --replicas 1 --machines 1

clickhouse-stop: install ## stop it; its data stays
clickhouse-status: install ## whether it answers
clickhouse-stop clickhouse-status:
	@$(CLUSTER) $(@:clickhouse-%=%) --home $(ONE)

db-console: install ## ClickHouse's client on that server
	@$(CLUSTER) console --home $(ONE)

db-clean: install ## stop it and remove its data (SURE=yes)
	@$(SURE_WITH) $(CLUSTER) clean --home $(ONE)

db-reset: db-clean clickhouse-start ## db-clean, then clickhouse-start

db-admin: install ## the first account, an admin's; its password is made, or taken from the variable ADMIN_PASSWORD
	@password=$${ADMIN_PASSWORD:-$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(18))')}; \
	uid=$$(printf '%s\n' "$$password" | $(BIN)/python -m tracker accounts add --config $(CONFIG) --admin --password-stdin) || exit 1; \
	echo "account   $$uid"; \
	if [ -z "$$ADMIN_PASSWORD" ]; then echo "password  $$password  (shown this once)"; fi

schema-load: install ## create or bring up to date the tables of config.json's ClickHouse (FORM=cluster)
	$(BIN)/python -m tracker schema --config $(CONFIG) --clickhouse $(FORM) --apply

schema-verify: install ## whether they are as they should be
	$(BIN)/python -m tracker schema --config $(CONFIG) --clickhouse $(FORM) --diff

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-clickhouse: requirements-clickhouse.lock $(VENV)/.installed
	$(PIP) install --require-hashes --requirement requirements-clickhouse.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	@touch $@

$(VENV)/.installed-browser: tests/browser/requirements.txt $(VENV)/.installed-dev
	$(PIP) install --require-hashes --requirement tests/browser/requirements.txt
	@touch $@

$(VENV)/.installed-fuzz: tests/fuzz/requirements.txt $(VENV)/.installed-dev
	$(PIP) install --require-hashes --requirement tests/fuzz/requirements.txt
	@touch $@
