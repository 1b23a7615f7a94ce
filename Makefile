# `make` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test check format docs bench conformance clean

BIN := .venv/bin
READY := .venv/.ready
RUN_PACKAGES := bubblewrap slirp4netns iproute2 nftables runsc
# Much of the tests' time is waiting: three workers, a file of tests to each at a time, in our order.
SPREAD := -m "not alone" -n 3 --dist loadfile --no-loadscope-reorder
TEST_PACKAGES := $(RUN_PACKAGES) skopeo zip

export PYTHON
# Many images set it; a test run starts Python hundreds of times, and would compile all that it imports each time.
unexport PYTHONDONTWRITEBYTECODE

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml uv.lock scripts/environment
	@scripts/environment
	@touch $@

setup: $(READY) ## Set everything up: system packages (as root), .venv, the embedding model
	@scripts/packages $(TEST_PACKAGES)
	@$(BIN)/python -m innkeeper.engines.embedders.minilm_install

demo: $(READY) ## Start a server, deploy an agent, talk to it in three sessions, stop
	@scripts/packages $(RUN_PACKAGES)
	@$(BIN)/python -m scripts.demo

test: setup ## Run every test, the slow ones too
	$(BIN)/pytest $(SPREAD)
	$(BIN)/pytest -m alone

check: setup ## What CI runs: format, lint, types, rules of the house, every test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest tests/house
	$(BIN)/pytest --ignore=tests/house $(SPREAD)
	$(BIN)/pytest -m alone

format: $(READY) ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(READY) ## Write the generated reference pages
	$(BIN)/python -m scripts.reference

bench: $(READY) ## Measure Innkeeper against its peers in the same run; prints ratios
	@scripts/packages $(RUN_PACKAGES)
	@env -u VIRTUAL_ENV UV_PROJECT_ENVIRONMENT=.venv \
		$(BIN)/uv sync --frozen --quiet --inexact --group bench --python $(BIN)/python
	@$(BIN)/python -m benchmarks.run

conformance: $(READY) ## Run the public AgentCore SDK's own integration tests against Innkeeper
	@scripts/packages $(RUN_PACKAGES)
	@$(BIN)/python -m tests.conformance.run

clean: ## Remove everything that setup, tests and demo made in this folder
	rm -rf .venv .innkeeper .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
