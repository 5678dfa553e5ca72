# Two commands set everything up on a machine with Python 3.11, pip, venv, make and git:
#   make demo    the main job on real data        make test    the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

.PHONY: demo test nightly check ci clean-room bench docs-reference clean

demo: $(VENV)/.demo
	$(BIN)/python examples/flights/demo.py demo-flights

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered $(ARGS)

# The suites at their large size (tests/sizes.py): hours.
nightly: $(VENV)/.dev
	MLFORGE_SIZE=nightly $(BIN)/python -m pytest -n 2 --dist worksteal tests/suites tests/flows/test_kill.py $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/flights.py
	$(BIN)/python benchmarks/start.py

docs-reference: $(VENV)/.dev
	$(BIN)/python docs/generate.py

ci:
	bash .ci/run

# From a fresh clone, with an empty HOME and nothing of the caller's environment.
clean-room:
	bash .ci/clean-room

clean:
	rm -rf $(VENV) demo-flights

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mlforge needs Python 3.11 or later: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A group includes the smaller ones, so a stamp of dev also serves demo.
$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@test $(VENV)/.dev -nt pyproject.toml || $(call install,demo)
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@$(call install,dev)
	@touch $@

ifdef UV
install = $(UV) pip install --quiet --python $(BIN)/python --editable $(if $(filter dev,$(1)),'.[all]',.) --group $(1)
else
install = { $(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1' && \
  $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable $(if $(filter dev,$(1)),'.[all]',.) --group $(1); }
endif
