# Two commands set everything up on a machine with Python 3.11, pip, venv, make and git:
#   make demo    the main job on real data        make test    the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FLOOR := .venv-floor
FEAST := .venv-feast
UV := $(shell command -v uv 2>/dev/null)

.PHONY: demo demo-model demo-transactions test test-floor nightly check ci clean-room bench feast docs docs-reference clean

demo: $(VENV)/.demo
	$(BIN)/python examples/flights/demo.py demo-flights

# What the features are worth to a model, and what a leak would claim.
demo-model: $(VENV)/.examples
	$(BIN)/python examples/flights/model.py demo-flights-model

demo-transactions: $(VENV)/.examples
	$(BIN)/python examples/transactions/demo.py demo-transactions

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered $(ARGS)

# The same with the lowest releases that pyproject.toml allows.
test-floor: $(FLOOR)/.dev
	nice $(FLOOR)/bin/python -m pytest -n 2 --dist worksteal $(ARGS)

# The suites at their large size (tests/sizes.py), of another seed each day: MLFORGE_SEED=20240501.
nightly: $(VENV)/.dev
	MLFORGE_SIZE=nightly MLFORGE_SEED=$${MLFORGE_SEED:-$$(date +%Y%m%d)} nice $(BIN)/python -m pytest \
	  -n 2 --dist worksteal tests/suites tests/engines/test_suite.py $(ARGS)
	$(MAKE) test-floor ARGS=

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/flights.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/history.py 1000 5000 1
	$(BIN)/python benchmarks/manifest.py
	$(BIN)/python benchmarks/recipes.py
	$(BIN)/python benchmarks/surrogate.py
	$(BIN)/python benchmarks/rolling.py
	$(BIN)/python benchmarks/pit.py
	$(BIN)/python benchmarks/columns.py
	$(BIN)/python benchmarks/pit.py --growth
	$(BIN)/python benchmarks/wide.py
	$(BIN)/python benchmarks/wide.py --feast
	$(BIN)/python benchmarks/online.py
	$(BIN)/python benchmarks/out_of_core.py

# Beside which some benchmarks run, in a venv of its own: its libraries are not mlforge's.
feast: $(FEAST)/.feast

# The site, in site/. A warning (a link, an anchor, a picture that is not there) is an error.
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going --quiet -j 2 -d site/.doctrees docs site
	@! grep -rlE '(src|<link[^>]* href)="https?:' site --include='*.html' || \
	  { echo "these pages load something from the web"; exit 1; }
	@echo "site/index.html"

docs-reference: $(VENV)/.dev
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/manifest_schema.py
	$(BIN)/python docs/types_page.py

ci:
	bash .ci/run

# From a fresh clone, with an empty HOME and nothing of the caller's environment.
clean-room:
	bash .ci/clean-room

clean:
	rm -rf $(VENV) $(FLOOR) $(FEAST) demo-flights demo-flights-model demo-transactions site

$(BIN)/python $(FLOOR)/bin/python $(FEAST)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mlforge needs Python 3.11 or later: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(@:/bin/python=)

# A group includes the smaller ones, so a stamp of dev also serves the others.
$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@test $(VENV)/.dev -nt pyproject.toml || $(call told,demo)
	@touch $@

$(VENV)/.examples: pyproject.toml | $(BIN)/python
	@test $(VENV)/.dev -nt pyproject.toml || $(call told,examples)
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@$(call told,dev)
	@touch $@

$(FLOOR)/.dev: BIN := $(FLOOR)/bin
$(FLOOR)/.dev: VENV := $(FLOOR)
$(FLOOR)/.dev: pinned := --constraint $(FLOOR)/floors.txt
$(FLOOR)/.dev: pyproject.toml | $(FLOOR)/bin/python
	@$(BIN)/python tests/floors.py > $(FLOOR)/floors.txt
	@$(call told,dev)
	@touch $@

$(FEAST)/.feast: | $(FEAST)/bin/python
	@echo "installing Feast into $(FEAST): about a minute, 700 MB"
	@$(if $(UV),$(UV) pip install --python $(FEAST)/bin/python,$(FEAST)/bin/python -m pip install --disable-pip-version-check) \
	  --quiet 'feast[duckdb,redis]==0.67.*'
	@touch $@

# The site needs its generator only.
$(VENV)/.docs: pyproject.toml | $(BIN)/python
	@$(call told,docs)
	@touch $@

told = { echo "installing into $(VENV): the first time, about a minute" && $(call install,$(1)); }
project = $(if $(filter dev,$(1)),--editable '.[all]')$(if $(filter demo examples,$(1)),--editable .)
ifdef UV
install = $(UV) pip install --quiet --python $(BIN)/python $(project) --group $(1) $(pinned)
else
install = { $(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1' && \
  $(BIN)/python -m pip install --quiet --disable-pip-version-check $(project) --group $(1) $(pinned); }
endif
