# Two commands matter: `make demo` and `make test`. Each sets up all that it needs first.
# Needs python3 (3.11 to 3.13), make and a package index; nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.locked
export PATH := $(CURDIR)/$(BIN):$(PATH)
export LITELLM_LOCAL_MODEL_COST_MAP = True
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION = false
export DO_NOT_TRACK = 1
# Tests and commands start hundreds of processes; what these import is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up test faults lint bench bench-public clean lock

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Make the environment in .venv

# uv lives in the environment that it fills, so nothing outside this folder is touched.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Cartograph needs Python 3.11, 3.12 or 3.13; %s is %d.%d. Name another with: make PYTHON=python3.12" % (sys.executable, *v))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.10,<1"
	@echo "Installing the locked packages into $(VENV) ..."
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	@echo "Building the embedder ..."
	@$(BIN)/python -m resources.minilm
	@touch $@

demo: $(STAMP) ## Simulate five shops in .cartograph/demo, load, model and test them
	@$(BIN)/cartograph demo

up: export CARTOGRAPH_HOME ?= $(CURDIR)/.cartograph/demo
up: $(STAMP) ## Open the demo: the Dagster UI, the docs site, MLflow (CARTOGRAPH_HOME names another home)
	@$(BIN)/cartograph up

# One process more than there are processors: a test often waits, for a server or a browser.
test: $(STAMP) lint ## Run the checks and all tests
	@$(BIN)/python -m pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadscope \
		--no-loadscope-reorder $(PYTEST_ARGS)

faults: $(STAMP) ## Kill extracts of every kind at random, 100 times each, besides at every step
	@CARTOGRAPH_KILLS=100 $(BIN)/python -m pytest tests/faults --numprocesses 2 --dist loadscope --durations=10

lint: $(STAMP) ## ruff, mypy, import rules, definitions, dbt parse
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -c 'from assets.marts.project import read_manifest; from resources.settings import get_settings; from resources.shops import load_shops; print("dbt parse:", len(read_manifest(load_shops(get_settings().shops_file))["nodes"]), "nodes")'
	@CARTOGRAPH_ENV=test $(BIN)/dagster definitions validate --workspace workspace.yaml

bench: $(STAMP) ## Measure what docs/benchmarks.md reports
	@$(BIN)/python -m benchmarks

bench-public: $(STAMP) ## Load and model RetailRocket and theLook at their public sizes (minutes, gigabytes)
	@$(BIN)/python -m benchmarks.public_size

clean: ## Remove the environment, all homes and caches
	@rm -rf $(VENV) .cartograph dbt_project/target dbt_project/logs .pytest_cache .ruff_cache .mypy_cache .import_linter_cache build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: $(STAMP) ## Make requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --group dev pyproject.toml \
		--custom-compile-command "make lock" --output-file requirements.lock
