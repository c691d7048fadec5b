# The front door. `make help` lists what is here.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
ROLE ?= author
BIN := .venv/bin
# uv from the machine if it has one, else uv inside .venv; both read the same lock.
UV := $(or $(shell PATH="$(subst $(CURDIR)/.venv/bin:,,$(PATH))" command -v uv),$(BIN)/uv)

# Byte code is worth keeping inside .venv: without it every `import mlflow` costs six seconds, not three.
export PYTHONDONTWRITEBYTECODE :=
# Nothing we start calls home.
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup demo replay up down env clean-state test test-exhaustive check format bench-registry bench-coverage bench-verdicts bench-training bench-reference bench-batch bench-serving bench-storms bench-shadows lock

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/; s/\$$\$$/$$/g' | expand -t 18

.venv/.ready: requirements.lock requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))' || \
	  { echo "make: $$($(PYTHON) --version 2>&1) found; Greenroom needs Python 3.11 to 3.13 (make PYTHON=python3.12 …)" >&2; exit 2; }
	@echo "Setting up .venv (once)" >&2
	@$(PYTHON) -m venv .venv
	@[ "$(UV)" != "$(BIN)/uv" ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  "$$(grep -oE '^uv==[0-9.]+' requirements.lock)" >&2
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/.ready  ## Create .venv from the lock (the other commands do this themselves)

demo: .venv/.ready  ## The whole lifecycle on the embedded stack, on real data
	@$(BIN)/python -m deploy demo

replay: .venv/.ready  ## July to December of the flights in minutes: watched, retrained, compared, reviewed
	@$(BIN)/python -m deploy replay $(REPLAY)

up: .venv/.ready  ## Start the embedded stack: S3 and MLflow on loopback
	@$(BIN)/python -m deploy up

down: .venv/.ready  ## Stop what `up` or `demo` started
	@$(BIN)/python -m deploy down

env: .venv/.ready  ## Addresses and credentials of a role: eval "$$(make -s env ROLE=reviewer)"
	@$(BIN)/python -m deploy env --role $(ROLE)

clean-state: .venv/.ready  ## Stop the stack and forget its data
	@$(BIN)/python -m deploy clean-state

test: .venv/.ready  ## All tests
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test-exhaustive: .venv/.ready  ## All tests, with every round and fault point instead of a sample
	@GREENROOM_EXHAUSTIVE=1 $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

check: .venv/.ready  ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.ready  ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet .

bench-registry: .venv/.ready  ## Concurrent reviews and what a transition costs, beside stock MLflow
	@$(BIN)/python -m benchmarks registry

bench-coverage: .venv/.ready  ## How often the intervals of validation hold, on simulated days
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks coverage

bench-verdicts: .venv/.ready  ## What live comparisons say when looked at all the time, beside t-tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks verdicts

bench-training: .venv/.ready  ## The memory of `mlflow run .` on ten times the flights, beside XGBoost alone
	@$(BIN)/python -m benchmarks training

.venv-peers/.ready: requirements-peers.lock .venv/.ready
	@echo "Setting up .venv-peers (once)" >&2
	@$(BIN)/python -m venv .venv-peers
	@$(UV) pip sync --quiet --python .venv-peers/bin/python --require-hashes requirements-peers.lock
	@touch $@

bench-batch: .venv/.ready .venv-peers/.ready  ## The speed and memory of batch jobs, beside XGBoost alone and other tools
	@$(BIN)/python -m benchmarks batch --peers .venv-peers/bin/python --picture docs/batch-memory.png

.venv-serving-peers/.ready: requirements-serving-peers.lock .venv/.ready
	@echo "Setting up .venv-serving-peers (once)" >&2
	@$(BIN)/python -m venv .venv-serving-peers
	@$(UV) pip sync --quiet --python .venv-serving-peers/bin/python --require-hashes requirements-serving-peers.lock
	@touch $@

bench-serving: .venv/.ready .venv-serving-peers/.ready  ## The latency of the endpoint, beside `mlflow models serve` and others
	@$(BIN)/python -m benchmarks serving --peers .venv-serving-peers/bin/python

bench-storms: .venv/.ready  ## The endpoint while versions change, under a crowd, and when a worker dies
	@$(BIN)/python -m benchmarks storms

bench-shadows: .venv/.ready  ## The latency of the champion, beside a shadow that works, sleeps or dies
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks shadows

bench-reference: .venv/.ready  ## The AUC of our trainer, beside a published one on the same flights
	@$(BIN)/python -m benchmarks reference

lock: .venv/.ready  ## Resolve the requirements*.lock again
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --extra peers pyproject.toml -o requirements-peers.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --group serving-peers -o requirements-serving-peers.lock
