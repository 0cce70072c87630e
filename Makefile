# Everything runs in the clone's own .venv; a fresh machine needs Python 3.10 or later, and make.
#   make bench ARGS='-k "int8 and throughput"'    ARGS goes to pytest
PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
BASELINE := .venv-baseline

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help bench test smoke repeat experiment-peers experiment-drift experiment-aa experiment-power experiment-tune nightly check format wheel clean

help: ## what can be made (this text)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

bench: $(INSTALLED) ## the main job: measure and judge the embedded model
	$(BIN)/python -m pytest benches --ov-report results/report.html $(ARGS)

# Most tests' CPU goes into processes that they start: where bytecode is not kept, each would compile all of ovbench.
test: $(INSTALLED) ## ovbench's own tests
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest tests -n auto --maxprocesses 4 --dist loadfile $(ARGS)

smoke: $(INSTALLED) ## run every bench once, measure nothing
	$(BIN)/python -m pytest benches --benchmark-disable $(ARGS)

repeat: $(INSTALLED) ## the main job ten times: do its intervals hold (ARGS=--quick: three short runs)
	$(BIN)/python -m ovbench.experiments.repeat $(ARGS)

experiment-peers: $(INSTALLED) ## our loops beside a bare one and benchmark_app
	$(BIN)/python -m ovbench.experiments.peers $(ARGS)

experiment-drift: $(INSTALLED) ## what moves on a quiet machine, and what keeps it steadier
	$(BIN)/python -m ovbench.experiments.drift $(ARGS)

experiment-aa: $(INSTALLED) ## unchanged against unchanged: false alarms and scatter (ARGS=--quick: 10 minutes)
	$(BIN)/python -m ovbench.experiments.aa $(ARGS)

experiment-power: $(INSTALLED) ## how soon a known slow-down is found (ARGS=--quick; ARGS=--neighbour)
	$(BIN)/python -m ovbench.experiments.power $(ARGS)

experiment-tune: $(INSTALLED) ## what a race misses (ARGS=record, 10 minutes alone; then replay, or live)
	$(BIN)/python -m ovbench.experiments.tuning $(ARGS)

# The second half runs even if the first fails; the exit code is the first that is not 0.
nightly: $(INSTALLED) $(BASELINE)/.installed ## gate nightly.toml against .venv-baseline, check accuracy
	@mkdir -p results; status=0; \
	$(BIN)/ovbench gate nightly.toml --summary results/nightly.md --junit results/nightly.xml $(ARGS) || status=$$?; \
	$(BIN)/python -m pytest benches -k accuracy --junitxml=results/nightly-accuracy.xml \
		> results/nightly-accuracy.txt || { code=$$?; [ $$status -ne 0 ] || status=$$code; }; \
	cat results/nightly-accuracy.txt; exit $$status

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
	rm -rf .venv $(BASELINE) build dist .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once, and again whenever the dependencies may have changed.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# The older side of `make nightly`: pinned, and without ovbench.
$(BASELINE)/.installed: nightly-baseline.txt
	$(PYTHON) -m venv $(BASELINE)
	$(BASELINE)/bin/python -m pip install --quiet --disable-pip-version-check --requirement nightly-baseline.txt
	touch $@
