# Everything a newcomer needs is `make demo` and `make test`; each sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := ingest,scoring,analysis,warehouse,notify,local,dev
# Much of a test's time is waiting for real parts: three processes keep two cores busy. Each has a broker of its own.
# Files begin in the order of tests/conftest.py, the slow ones first.
# Compiled sources are kept: each of several hundred processes would else compile all that it imports.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format drills clean

help: ## what there is to make
	@echo "Rapport: health, risk and alerts for every mentoring relationship"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(READY) ## the virtual environment, with the tested versions

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Rapport needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@echo "setting up $(VENV) (some minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $(READY)

demo: $(READY) ## the whole system with three years of sample history; Ctrl-C ends it
	@$(BIN)/rapport demo

test: $(READY) ## all tests, on a real Kafka and the real ClickHouse engine
	@$(PYTEST)

check: $(READY) ## what CI and pre-commit ask for: format, lint, types, contracts, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(PYTEST)

format: $(READY) ## put the code into the agreed form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

drills: $(READY) ## the long failure drills: kill -9, SIGTERM, exceptions, a minute without a service
	@$(BIN)/python -m pytest -m drill --timeout 1800

clean: ## remove the environment and all local data
	rm -rf $(VENV) .rapport build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
