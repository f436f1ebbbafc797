# Two commands do everything on a fresh machine: `make demo` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PYTEST := $(BIN)/python -m pytest

.PHONY: help demo test test-slow soak check up docs bench-core bench-env bench-flow bench-ledger constraints clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"labwm needs Python 3.11 or newer; got {v[0]}.{v[1]}. Call make with PYTHON=python3.11")'
	@echo "Setting up $(VENV). Download: about 0.6 GB with the CPU build of torch, about 3 GB with"
	@echo "torch as pip resolves it on Linux (CUDA included). README: 'The small CPU build'."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev -e .
	@touch $(STAMP)
	@echo "$(VENV) is ready."

demo: $(STAMP) ## A campaign on a real quantum-chemical lab, start to end (< 5 min)
	@$(BIN)/python -m flows.demo

test: $(STAMP) ## All tests but the slow groups (< 10 min on 2 cores)
	$(PYTEST) -m "not slow and not soak" -n 2 --dist loadgroup

test-slow: $(STAMP) ## The slow groups
	$(PYTEST) -m slow

soak: $(STAMP) ## The soak tests
	$(PYTEST) -m soak --timeout 7200

bench-ledger: $(STAMP) ## Time every campaign query on a ledger of 1,000,000 observations
	$(BIN)/python -m tests.bench.ledger

check: $(STAMP) ## Formatting, lint, types, import contracts, then the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(MAKE) test

bench-core: $(STAMP) ## Ratios of the default model's core to matrix products
	@$(BIN)/labwm bench core --size 1000 --size 2000 --size 5000

bench-env: $(STAMP) ## Steps per second of the practice environments
	@$(BIN)/labwm bench env

up: $(STAMP) ## Prefect's UI, labwm's API and pages on this machine
	@$(BIN)/labwm up

bench-flow: $(STAMP) ## What a round costs beyond its modelling, and what a tick costs
	@$(BIN)/python -m flows.overheads

docs: $(STAMP) ## Run every block of the documentation
	$(PYTEST) tests/docs

constraints: ## Pin what is installed in the environment now
	@(echo '# Versions that were tested together. Made by `make constraints`; no index addresses here.'; \
	  $(BIN)/python -m pip freeze --exclude-editable | grep -v '^labwm' | sed 's/+cpu//') > constraints.txt

clean: ## Remove the environment and what tools left behind
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis
