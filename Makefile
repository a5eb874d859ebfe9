# Every verb sets itself up: only Python 3.11+ and a C library are assumed.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVE ?= 1
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export DO_NOT_TRACK := true
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup run serve test test-all test-real check bench docs repro clean

help:           ## list the verbs
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

$(BIN)/fantasy: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv==0.13.9
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install -c constraints.txt -e '.[dev,embedded]'
	@touch $(BIN)/fantasy

setup: $(BIN)/fantasy   ## create .venv with the `fantasy` command

run: setup      ## run the daily line on the simulated league, print a lineup, then serve (SERVE=0 stops after the lineup)
	$(BIN)/fantasy run --source simulated $(if $(filter 0,$(SERVE)),,--serve)

serve: setup    ## serve the API and page on http://127.0.0.1:8000
	$(BIN)/fantasy serve

test: setup     ## unit, integration, end-to-end and failure tests (< 15 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow and not real_data"

test-all: setup ## everything, the slow ones too
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-real: setup ## the end-to-end test on recorded seasons (FANTASY_DATA, or ../shared/data)
	$(BIN)/python -m pytest -m real_data

check: setup    ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup    ## every benchmark, JSON into benchmarks/results
	for b in benchmarks/bench_*.py; do $(BIN)/python $$b; done

docs: setup     ## regenerate docs/results.md from the JSON results
	$(BIN)/python -m flows.results

repro: setup    ## rebuild the reference pipeline with DVC: dvc.lock and metrics.json
	DVC_NO_ANALYTICS=1 $(BIN)/dvc repro

clean:          ## remove the virtual environment, local state and caches
	rm -rf $(VENV) .fantasy data/simulated data/validation.json .dvc/cache .dvc/tmp .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
