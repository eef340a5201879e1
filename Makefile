# Everything a person types here. `make help` lists it.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CONFIG ?= config.json
VENV := .venv
BIN := $(VENV)/bin
CODE := tracker tests bench docs
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run install install-dev test test-long reliability lint format bench fuzz docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## install what is needed and serve with config.json (CONFIG=other.json)
	@exec $(BIN)/python -m tracker $(CONFIG)

install: $(VENV)/.installed ## virtual environment with the locked dependencies

install-dev: $(VENV)/.installed-dev ## the same, with what tests and lint need

test: install-dev ## the everyday tests (under five minutes)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-long: install-dev ## what takes longer: a hundred kills, mutation checks, attacks, power cuts (under 20 minutes)
	$(BIN)/python -m pytest -m long -n 2 --dist loadfile --timeout 900 -rP

reliability: install-dev ## 1,000 kills, 1,000,000 acknowledged events (most of an hour; RELIABILITY="--kills 50 --seed 7")
	$(BIN)/python -m tests.reliability $(RELIABILITY)

lint: install-dev ## format, lint and strict types
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy

format: install-dev ## put the code into shape
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: install-dev ## measure, and print ratios against a bare handler (minutes; BENCH="--quick" for a glance)
	$(BIN)/python -m bench $(BENCH)

fuzz: $(VENV)/.installed-fuzz ## look for bytes that break a parser (FUZZ_SECONDS=60 each, FUZZ_PARSERS="body gzip")
	nice $(BIN)/python -m tests.fuzz

docs: install-dev ## write docs/configuration.md, metrics.md and tables.md from the code
	$(BIN)/python -m docs.reference

lock: ## resolve the dependencies anew into the two lock files
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip --quiet install uv
	.venv-lock/bin/uv pip compile --quiet --upgrade pyproject.toml --extra build --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --output-file requirements.lock
	.venv-lock/bin/uv pip compile --quiet --upgrade pyproject.toml --extra build --extra dev --extra embedded-clickhouse --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --output-file requirements-dev.lock

clean: ## remove what was installed and built; data/ stays
	rm -rf $(VENV) .venv-lock build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	$(PIP) install --require-hashes --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	@touch $@

$(VENV)/.installed-fuzz: tests/fuzz/requirements.txt $(VENV)/.installed-dev
	$(PIP) install --require-hashes --requirement tests/fuzz/requirements.txt
	@touch $@
