# make demo   transcribe the sample with the embedded server: no key, no network
# make test   every test
# make test-fast   every test that recognises no speech, in a third of the time
# make soak   dozens of sessions that lose their connections, for three minutes
# make bench  measure this client beside others, for a quarter of an hour, into benchmarks/results/
# make bench-quick   only what the targets need: a minute and a quarter
# make lint   what .ci/run checks besides
# make build  wheel and sdist, in dist/
# PYTHON=… chooses the interpreter, VENV=… where its environment goes, PYTEST_ARGS=… goes to pytest,
# SOAK_ARGS=… to the soak, BENCH_ARGS=… to the benchmarks.

VENV ?= .venv
# Two processes, a whole file each: what a file's tests share is made once. The files come in the
# order in which conftest.py has them, the long ones first.
WORKERS ?= 2
PYTEST_ARGS ?=
SOAK_ARGS ?=
BENCH_ARGS ?=

# The first interpreter that runs, is new enough and can make environments. 3.9 comes last, for
# there the recognizer of the embedded server has to be compiled.
usable = $(1) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.10 python3 python3.9 python; do \
	if $(call usable,$$python); then echo $$python; break; fi; done)

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check install -qq
# An environment is made anew when what it is made from has changed.
DECLARED = setup.cfg setup.py pyproject.toml

.DELETE_ON_ERROR:
.PHONY: demo test test-fast soak bench bench-quick lint format build clean

demo: $(VENV)/demo.installed
	@$(BIN)/python examples/demo.py

PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/test.installed
	$(PYTEST) $(PYTEST_ARGS)

test-fast: $(VENV)/test.installed
	$(PYTEST) -m "not speech" $(PYTEST_ARGS)

soak: $(VENV)/test.installed
	$(BIN)/python benchmarks/soak.py $(SOAK_ARGS)

bench: $(VENV)/bench-full.installed
	$(BIN)/python benchmarks/speed $(BENCH_ARGS)

bench-quick: $(VENV)/bench.installed
	@$(BIN)/python benchmarks/speed --quick $(BENCH_ARGS)

lint: $(VENV)/lint.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy --strict speechmatics_sync

format: $(VENV)/lint.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: $(VENV)/lint.installed
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.9 or newer with venv and ensurepip was found; say PYTHON=…" >&2; exit 1; }
	@echo "Making an environment in $(VENV) with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/demo.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing the client and the embedded server …"
	@$(PIP) -e '.[local,jwt,progress]'
	@touch $@

# On 3.9 pocketsphinx may be impossible to have; the tests that need it are skipped then.
$(VENV)/test.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing what the tests need …"
	@$(PIP) -e '.[test,local]' || { \
		$(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 10))' \
		&& echo "Without pocketsphinx, which could not be compiled …" && $(PIP) -e '.[test]'; }
	@touch $@

# Wheels only: where there is none for this machine, nothing is to be compiled by surprise.
$(VENV)/bench.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing what the benchmarks need …"
	@$(PIP) --only-binary picows,numpy -e '.[bench]' || { \
		echo "The benchmarks' server is picows, which PyPI may have no wheel of for this machine:" \
			"without it nothing is measured." >&2; exit 1; }
	@touch $@

# speechmatics-python lies by itself: it and speechmatics-rt share the package's name.
$(VENV)/bench-full.installed: $(VENV)/bench.installed
	@echo "Installing what draws plots, and speechmatics-python …"
	@$(PIP) --only-binary matplotlib -e '.[bench-full]'
	@$(PIP) --only-binary :all: --upgrade --target $(VENV)/speechmatics-python speechmatics-python==5.0.0.post1
	@touch $@

$(VENV)/lint.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing ruff, import-linter, mypy and what builds …"
	@$(PIP) -e '.[lint]'
	@touch $@
