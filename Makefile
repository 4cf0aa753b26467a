# Two commands are enough: `make demo` and `make test`. Both set the house up first (a `.venv` in this folder).
# Needs Python 3.11 with venv, pip and make; nothing else.

.DEFAULT_GOAL := help
.PHONY: help setup towers demo test fast lint check explore wire locks redteam model bench scale chaos mutate tamper accept

# Compiled files are kept, whatever the shell says: seven processes of a demo would each compile the house again.
unexport PYTHONDONTWRITEBYTECODE

# A shim may answer to a name and then not run, so each candidate has to prove itself.
python = $(shell for each in python3.11 python3; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$each" && break; done)
VENV_PYTHON := .venv/bin/python
# Errors only: pip's warnings are about the machine's own settings, not about this house.
PIP_INSTALL := $(VENV_PYTHON) -m pip install -qq --no-input --disable-pip-version-check
LOCKED := $(PIP_INSTALL) --no-deps --only-binary :all: --require-hashes
UNIT := tests/floors $(wildcard tests/privacy tests/risk tests/node tests/coordinator tests/audit tests/deploy)

help:
	@echo 'make demo [DATA=room] [OUT=folder] [SEED=0] [RECIPES=scorecard,trees]   train, and write the report'
	@echo 'make test    every test              make fast    format, lint, types, floors, unit tests'
	@echo 'make check   what CI runs            make bench   time the secure round'
	@echo 'make scale   cost against 4 to 200 members, drawn ([OUT=folder])'
	@echo 'make chaos   200 rounds with nodes killed, frozen and cut off [SEED=1]'
	@echo 'make redteam plays the attacks on the protocol and says who refused each'
	@echo 'make model   explores every way a coordinator can play the protocol; takes some minutes'
	@echo 'make tamper  1000 ways to tamper with the logs of a demo [CASES=1000] [SEED=0]'
	@echo 'make accept  programs of others judge our logs and exports (Go, sigstore, PMML4S); each skip is named'
	@echo 'make wire    protobuf code           make locks   requirements/*.lock (asks the package index)'
	@echo 'make setup   only the .venv          make towers  try again to install torch and Flower'

# --- set-up: once; again only when a lock or pyproject.toml changes -----------------------------------------------

setup: .venv/towers.stamp

.venv/venv.stamp:
	@test -n "$(python)" || { echo 'setup: no Python 3.11 found; install python3.11 and run this again' >&2; exit 2; }
	@echo 'setup: making .venv with $(python); this downloads once and then works offline'
	@$(python) -m venv .venv || { rm -rf .venv; \
		echo 'setup: $(python) cannot make a virtual environment; on Debian install python3.11-venv' >&2; exit 2; }
	@touch $@

.venv/base.stamp: requirements/base.lock | .venv/venv.stamp
	@echo 'setup: installing node, coordinator, audit, demo and tools'
	@$(LOCKED) -r requirements/base.lock || { \
		echo 'setup: the packages of requirements/base.lock could not be installed; is the package index reachable?' >&2; \
		exit 1; }
	@touch $@

.venv/package.stamp: pyproject.toml .venv/base.stamp
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# The towers are an extra: without them the scorecard, its demo and its tests stay whole. torch's CPU build is a tenth of
# its default build with the CUDA libraries, so it is tried first.
.venv/towers.stamp: requirements/towers.lock requirements/towers-cuda.lock requirements/torch-cpu.lock .venv/package.stamp
	@echo 'setup: installing torch and Flower for the towers'
	@$(LOCKED) -r requirements/torch-cpu.lock 2>.venv/towers.log || \
		echo 'setup: no CPU build of torch on offer here; taking the default build, which is large'
	@if $(LOCKED) -r requirements/towers.lock 2>>.venv/towers.log && \
		{ $(VENV_PYTHON) -c 'import torch' 2>>.venv/towers.log || { \
		echo 'setup: this build of torch loads CUDA libraries; installing them' && \
		$(LOCKED) -r requirements/towers-cuda.lock 2>>.venv/towers.log && \
		$(VENV_PYTHON) -c 'import torch' 2>>.venv/towers.log; }; }; \
	then echo 'setup: done'; \
	else $(VENV_PYTHON) -m pip uninstall -qq -y torch flwr 2>>.venv/towers.log; \
		echo 'setup: done without towers: torch could not be installed (see .venv/towers.log; `make towers` tries again)'; \
	fi
	@touch $@

towers:
	@rm -f .venv/towers.stamp
	@$(MAKE) --no-print-directory setup

# --- the product ----------------------------------------------------------------------------------------------------

demo: setup
	@.venv/bin/creditmesh-demo $(if $(DATA),--data "$(DATA)") $(if $(OUT),--out "$(OUT)") \
		$(if $(SEED),--seed "$(SEED)") $(if $(RECIPES),--recipes "$(RECIPES)")

redteam: setup
	@$(VENV_PYTHON) -m tests.redteam

tamper: setup
	@$(VENV_PYTHON) -m tests.tamper $(if $(CASES),--cases "$(CASES)") $(if $(SEED),--seed "$(SEED)")

# Programs that are not ours judge what we write. Each test that cannot run here says why; sigstore gets an environment
# of its own, since its requirements clash with the demo's.
accept: setup
	@test -x .venv-accept/bin/python || { $(VENV_PYTHON) -m venv .venv-accept && \
		.venv-accept/bin/python -m pip install -qq --disable-pip-version-check sigstore==4.5.1 pymerkle==7.0.0 \
		rfc8785==0.1.4; } || echo 'accept: sigstore could not be installed; its tests are skipped' >&2
	@.venv-accept/bin/python -c 'import duckdb, pypmml' 2>/dev/null || .venv-accept/bin/python -m pip install -qq \
		--disable-pip-version-check duckdb==2.0.0 pypmml==1.5.8 || \
		echo 'accept: DuckDB and PMML4S could not be installed; their tests are skipped' >&2
	@test -s .venv-accept/axe.min.js || { cd .venv-accept && npm pack --silent axe-core@4.14.1 >/dev/null && \
		tar -xzf axe-core-4.14.1.tgz --strip-components=1 package/axe.min.js && rm axe-core-4.14.1.tgz; } || \
		echo 'accept: axe-core could not be fetched by npm; the tests with it are skipped' >&2
	@BROWSER_TESTS=1 $(VENV_PYTHON) -m pytest -rs tests/interop tests/browser

model: setup
	@$(VENV_PYTHON) -m tests.model

chaos: setup
	@$(VENV_PYTHON) -m tests.chaos $(if $(SEED),--seed "$(SEED)")

bench: setup
	@$(VENV_PYTHON) -m tests.bench.one_sum
	@$(VENV_PYTHON) tests/bench/secure_round.py
	@$(VENV_PYTHON) -m tests.bench.million_events
	@$(VENV_PYTHON) -m tests.bench.console_pages
	@$(VENV_PYTHON) -m tests.bench.scorer

scale: setup
	@$(VENV_PYTHON) -m tests.bench.scale $(if $(OUT),"$(OUT)",creditmesh-scale)

# --- tests ----------------------------------------------------------------------------------------------------------

lint: setup
	@$(VENV_PYTHON) -m ruff format --quiet --check . || { echo 'lint: run .venv/bin/ruff format on these files' >&2; \
		$(VENV_PYTHON) -m ruff format --check .; exit 1; }
	@$(VENV_PYTHON) -m ruff check --quiet .
	@$(VENV_PYTHON) -m mypy --no-error-summary

fast: lint
	@$(VENV_PYTHON) -m pytest -n 2 --dist loadfile --hypothesis-profile fast -m 'not slow' $(UNIT)

test: setup
	@$(VENV_PYTHON) -m pytest -n 2 --dist loadfile

# Properties on examples that no run has seen before; what fails here becomes an example of its test.
explore: setup
	@$(VENV_PYTHON) -m pytest -n 2 --dist loadfile --hypothesis-profile explore tests/properties tests/privacy tests/risk

# `make test` collects everything under tests/: floors, units, properties, vectors, wire drift, simulation, end to end.
check: lint test

mutate: setup
	@$(VENV_PYTHON) -m tests.mutation $(if $(ONLY),--only "$(ONLY)")

# --- generated files ------------------------------------------------------------------------------------------------

wire: setup
	@$(VENV_PYTHON) tests/floors/wire_code.py proto

locks: setup
	@$(VENV_PYTHON) requirements/locks.py
