# The two commands: `make demo` shows the main job on real traffic, `make test` checks everything.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test lab soak bench scorecard docs lock clean help

help:
	@echo "make demo   set up, then judge the recorded traffic and logs (no root, no server)"
	@echo "make test   install what the tests need, then run every check"
	@echo "make lab    as root: a gateway under attack in network namespaces"
	@echo "make soak   kills, corruptions and fuzzing at full length"
	@echo "make bench  the figures, beside a named peer"
	@echo "make scorecard  what the risk models reach, with plots (takes half an hour)"
	@echo "make docs   build the documentation into site/"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ostiary needs Python 3.11 or newer (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/python
	@echo "Making the environment from the hashed lock ..."
	@$(INSTALL) --require-hashes -r requirements.txt
	@$(INSTALL) --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml | $(BIN)/python
	@echo "Making the environment for development from the hashed lock ..."
	@$(INSTALL) --require-hashes -r requirements-dev.txt
	@$(INSTALL) --no-build-isolation --no-deps -e .
	@touch $@ $(VENV)/.run

demo: $(VENV)/.run
	@$(BIN)/ostiary run --state demo/state examples/captures/*.pcap examples/logs/*.log

test: $(VENV)/.dev
	@tests/prepare
	@tests/check

lab: $(VENV)/.run
	@$(BIN)/python deploy/lab/lab.py

soak: $(VENV)/.dev
	@tests/prepare
	@OSTIARY_SOAK=1 $(BIN)/pytest -m "hypothesis or slow" -n 2 --timeout 14400

bench: $(VENV)/.dev
	@for name in packets logs risk policy audit pipeline gateway; do echo "== $$name"; $(BIN)/python -m bench.$$name; done

scorecard: $(VENV)/.dev
	@$(BIN)/python -m bench.scorecard

docs: $(VENV)/.dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lock: | $(BIN)/python
	@$(INSTALL) uv
	@$(BIN)/uv lock --quiet
	@$(BIN)/uv export --quiet --no-header --no-emit-project --no-default-groups --group build --extra run -o requirements.txt
	@$(BIN)/uv export --quiet --no-header --no-emit-project --all-extras --all-groups -o requirements-dev.txt

clean:
	rm -rf $(VENV) .tools demo site build dist
