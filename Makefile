# One vocabulary for people, hooks and CI. `make` alone lists the verbs; a verb's line is the `##` behind it.
.DEFAULT_GOAL := help
.PHONY: help demo retail test test-slow check bench accuracy driven docs lock clean
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(CURDIR)/$(VENV)/services/usr/bin:$(PATH)
PINS := requirements/build.txt pyproject.toml scripts/setup

help:
	@echo "bedplate: make VERB"
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.demo  ## From raw flights to a served and watched model, on this machine; again: what was skipped, and why.
	@python examples/flights/demo.py

retail: $(VENV)/.retail  ## A month in minutes, and nobody types: nightly training, bad data, a bad model, two kills; what was live, and why.
	@python examples/retail/replay.py

test: $(VENV)/.test services  ## Everything but the slow suites: unit, contract, integration, journey, docs.
	@pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

test-slow: $(VENV)/.test services  ## The slow suites: the kill matrix, the benchmarks' smoke.
	@pytest -m slow $(ARGS)

check: $(VENV)/.test  ## Format, lint, strict types, floors, documentation: about a minute.
	@ruff format --check .
	@ruff check .
	@mypy
	@lint-imports
	@pytest -q tests/unit/house tests/docs

bench: $(VENV)/.test  ## Measure this machine; results land in benchmarks/results with the date.
	@python benchmarks/run.py $(ARGS)

accuracy: $(VENV)/.test  ## How wrong the planner is on measurements that its constants were not fitted to; minutes.
	@python -m calibration.accuracy $(ARGS)

driven: $(VENV)/.test  ## Record anew which endpoints the tests with MLflow's own clients drive; minutes.
	@WRITE_DRIVEN=1 pytest -n 2 --dist loadfile -k "client and not ten_clients and not eight_clients" tests/journey tests/integration/test_up_*.py
	@python docs/generate.py

docs: $(VENV)/.test  ## Regenerate the reference pages that are made from the code.
	@python docs/generate.py

lock:  ## Renew requirements/ from a fresh environment with the newest versions that pyproject.toml allows.
	@scripts/lock

clean:  ## Remove the virtual environment, caches and what the examples made.
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@rm -rf examples/*/.bedplate examples/retail/in examples/retail/clock
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: services
services:
	@scripts/services

$(VENV)/.%: requirements/%.txt $(PINS)
	@scripts/setup $*
