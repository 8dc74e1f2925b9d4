# make demo   live text, a call, a cut that heals, captions, in half a minute: no key, no network
# make demo-web   a page to speak into, with the embedded server: says which address to open
# make test   every test
# make test-fast   every test that recognises no speech
# make coverage   every test, in ten minutes, and which branches none of them takes
# make test-services   the tests with other programs: web servers, a browser, notebooks, task queues
# make mutants   MUTANTS_ARGS="MODULE TESTS…": which faults of a module no test notices
# make soak   dozens of sessions whose connections are lost again and again, for three minutes
# make bench  compare this client with others, in 15 minutes, into benchmarks/results/
# make bench-quick   only what the targets need, in less than three minutes
# make pictures   draw what make demo, make demo-web, the command line and notebooks show
# make lint   style, types and walls
# make docs   the pages of docs/ and the reference as HTML, in docs/_build/
# make docs-links   whether the links to other sites lead somewhere: needs a network
# make release-check   whether what would be released is whole: builds, each extra alone, SBOMs
# make build  the wheel and the sdist of what is committed, in dist/: the first part of release-check
# PYTHON=… chooses the interpreter, VENV=… where its environment goes, PYTEST_ARGS=… goes to pytest,
# SOAK_ARGS=… to the soak, BENCH_ARGS=… to the benchmarks, RELEASE_ARGS=… to the check; PORT=… is that of demo-web.

VENV ?= .venv
# Eight processes for two cores, as tests wait for most of their time. Each takes whole files, so that
# what a file's tests share is made once. conftest.py puts the longest files first.
WORKERS ?= 8
PYTEST_ARGS ?=
MUTANTS_ARGS ?= --help
SOAK_ARGS ?=
BENCH_ARGS ?=
RELEASE_ARGS ?=
PORT ?= 5000

# The first interpreter that runs, is new enough and can create environments. 3.9 comes last,
# because on it the embedded server's recogniser must be compiled.
usable = $(1) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.10 python3 python3.9 python; do \
	if $(call usable,$$python); then echo $$python; break; fi; done)

BIN = $(VENV)/bin
# Install with pip, quietly; say what went wrong in a sentence. What pip said is in $(VENV)/pip.log.
PIP_LOG = $(VENV)/pip.log
PIP = $(BIN)/python -m pip --disable-pip-version-check install -q
define explain
{ \
	if grep -qiE "name resolution|connection (refused|broken|to|timed)|ProxyError|NewConnectionError|ConnectTimeout|from versions: none" $(PIP_LOG) ; then \
		echo "No package index can be reached. The first run downloads packages: connect to the network, or name an index in PIP_INDEX_URL." ; \
	elif grep -qi "pocketsphinx" $(PIP_LOG) && grep -qiE "compiler|gcc|cmake|failed building|failed-wheel-build" $(PIP_LOG) ; then \
		echo "The recogniser, pocketsphinx, has no wheel for this Python and could not be compiled: choose another, as in PYTHON=python3.11." ; \
	else \
		tail -n 15 $(PIP_LOG) ; \
	fi ; \
	echo "(pip's messages are in $(PIP_LOG))" ; exit 1 ; \
} >&2
endef
# The environment is updated when one of these has changed.
DECLARED = setup.cfg setup.py pyproject.toml

.DELETE_ON_ERROR:
.PHONY: demo demo-web test test-fast coverage test-services mutants soak soak-web bench bench-quick pictures lint format docs docs-links build release-check clean

demo: $(VENV)/demo.installed
	@$(BIN)/python examples/demo.py

demo-web: $(VENV)/demo-web.installed
	@cd examples && $(abspath $(BIN))/python -m captions_flask --port $(PORT)

# Compiled tests are kept even where the environment asks for none to be written: to compile them
# takes each of the processes ten seconds, unless one does it for all when they are installed.
COMPILED = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
# What is wrong with a test, its run will show.
COMPILE_TESTS = $(COMPILED) --collect-only -q > /dev/null 2>&1 || true
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PYTEST = $(COMPILED) $(PARALLEL)

test: $(VENV)/test.installed
	@echo "Every test, in under five minutes on two cores; those that hear speech come first and are slow."
	$(PYTEST) $(PYTEST_ARGS)

test-fast: $(VENV)/test.installed
	@echo "The tests without speech, in just under two minutes on two quiet cores."
	$(PYTEST) -m "not speech" $(PYTEST_ARGS)

# The processes that run tests, and those that tests start, are counted as well: see pyproject.toml.
coverage: $(VENV)/test.installed
	@echo "Every test, in about ten minutes; then the branches that none of them takes."
	$(BIN)/python -m coverage erase
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m coverage run -m pytest $(PARALLEL) $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

test-services: $(VENV)/services.installed
	@echo "The tests with web servers, a browser, notebooks and task queues."
	$(COMPILED) -n 2 --dist loadfile $(PYTEST_ARGS) tests/services

mutants: $(VENV)/test.installed
	$(BIN)/python .ci/mutants.py $(MUTANTS_ARGS)

soak: $(VENV)/test.installed
	$(BIN)/python benchmarks/soak.py $(SOAK_ARGS)

soak-web: $(VENV)/services.installed
	$(BIN)/python benchmarks/soak_web.py $(SOAK_ARGS)

bench: $(VENV)/bench-full.installed
	$(BIN)/python benchmarks/speed $(BENCH_ARGS)

bench-quick: $(VENV)/bench.installed
	@$(BIN)/python benchmarks/speed --quick $(BENCH_ARGS)

pictures: $(VENV)/services.installed
	$(BIN)/python docs/pictures/draw_demo.py
	$(BIN)/python docs/pictures/draw_terminal.py
	$(BIN)/python docs/pictures/draw_page.py
	$(BIN)/python docs/pictures/draw_notebook.py

lint: $(VENV)/lint.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy --strict speechmatics_sync tests/product/typed_use.py
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/codespell speechmatics_sync docs examples benchmarks tests *.rst

format: $(VENV)/lint.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/docs.installed
	$(BIN)/python -m sphinx -E -W -q -b html docs docs/_build
	@echo "The pages are in docs/_build/index.html."

docs-links: $(VENV)/docs.installed
	$(BIN)/python -m sphinx -E -q -b linkcheck docs docs/_build/links

build: $(VENV)/release.installed
	$(BIN)/python .ci/release_check.py --build

release-check: $(VENV)/release.installed
	$(BIN)/python .ci/release_check.py $(RELEASE_ARGS)

clean:
	rm -rf $(VENV) build demo-output dist docs/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.9 or newer with venv and ensurepip was found; set PYTHON=…" >&2; exit 1; }
	@echo "Creating an environment in $(VENV) with $$($(PYTHON) --version) …"
	@$(PYTHON) -c 'import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); import venv; venv.main(["$(VENV)"])'

$(VENV)/demo.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing the client and the embedded server …"
	@$(PIP) -e '.[local,jwt,progress,cli,captions]' > $(PIP_LOG) 2>&1 || $(explain)
	@touch $@

$(VENV)/demo-web.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing the client, the embedded server and Flask …"
	@$(PIP) -e '.[local]' flask flask-sock > $(PIP_LOG) 2>&1 || $(explain)
	@touch $@

# On 3.9 pocketsphinx may not compile; then the tests that need it are skipped.
$(VENV)/test.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing what the tests need …"
	@$(PIP) -e '.[test,local]' > $(PIP_LOG) 2>&1 || { \
		$(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 10))' \
		&& echo "Without pocketsphinx, which could not be compiled …" \
		&& $(PIP) -e '.[test]' > $(PIP_LOG) 2>&1; } || $(explain)
	@$(COMPILE_TESTS)
	@touch $@

# All that .ci/run needs, in one run of pip. Installed one after the other, a target's packages could
# replace those of another while that one runs.
$(VENV)/checks.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing what all checks need …"
	@$(PIP) -e '.[services,lint,docs,release]' > $(PIP_LOG) 2>&1 || $(explain)
	@$(COMPILE_TESTS)
	@touch $(foreach target,demo test services lint docs release,$(VENV)/$(target).installed) $@

$(VENV)/services.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing web frameworks, notebooks and task queues …"
	@$(PIP) -e '.[services]' > $(PIP_LOG) 2>&1 || $(explain)
	@touch $@

# Wheels only: nothing is compiled by surprise on a machine that has none.
$(VENV)/bench.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing what the benchmarks need …"
	@$(PIP) --only-binary picows,numpy -e '.[bench]' || { \
		echo "The benchmarks need picows, which may have no wheel for this machine:" \
			"nothing is measured." >&2; exit 1; }
	@touch $@

# In a directory of its own: speechmatics-python and speechmatics-rt install the same package.
$(VENV)/bench-full.installed: $(VENV)/bench.installed
	@echo "Installing matplotlib and speechmatics-python …"
	@$(PIP) --only-binary matplotlib -e '.[bench-full]'
	@$(PIP) --only-binary :all: --upgrade --target $(VENV)/speechmatics-python speechmatics-python==5.0.0.post1
	@touch $@

$(VENV)/docs.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing Sphinx …"
	@$(PIP) -e '.[docs]' > $(PIP_LOG) 2>&1 || $(explain)
	@touch $@

$(VENV)/release.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing what checks a release …"
	@$(PIP) -e '.[release]' > $(PIP_LOG) 2>&1 || $(explain)
	@touch $@

$(VENV)/lint.installed: $(DECLARED) | $(BIN)/python
	@echo "Installing ruff, import-linter, mypy and pyright …"
	@$(PIP) -e '.[lint]' > $(PIP_LOG) 2>&1 || $(explain)
	@touch $@
