# Everything runs in the clone's own .venv; a fresh machine needs Python 3.10 or later, and make.
#   make bench ARGS='-k "int8 and throughput"'    ARGS goes to pytest
PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help bench test smoke repeat experiment-peers experiment-drift check format wheel clean

help: ## what can be made (this text)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

bench: $(INSTALLED) ## the main job: measure and judge the embedded model
	$(BIN)/python -m pytest benches $(ARGS)

test: $(INSTALLED) ## ovbench's own tests
	$(BIN)/python -m pytest tests $(ARGS)

smoke: $(INSTALLED) ## run every bench once, measure nothing
	$(BIN)/python -m pytest benches --benchmark-disable $(ARGS)

repeat: $(INSTALLED) ## the main job ten times: do its intervals hold (ARGS=--quick: three short runs)
	$(BIN)/python -m ovbench.experiments.repeat $(ARGS)

experiment-peers: $(INSTALLED) ## our loops beside a bare one and benchmark_app
	$(BIN)/python -m ovbench.experiments.peers $(ARGS)

experiment-drift: $(INSTALLED) ## what moves on a quiet machine, and what keeps it steadier
	$(BIN)/python -m ovbench.experiments.drift $(ARGS)

check: $(INSTALLED) ## format, lint, types (mypy strict), import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## format, and mend what the linter can
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

wheel: $(INSTALLED) ## a wheel with the suite inside, in dist/
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

clean: ## remove .venv, builds and caches; results/ stays
	rm -rf .venv build dist .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once, and again whenever the dependencies may have changed.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
