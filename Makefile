# Everything is set up on the way: a bare machine needs python3, git and make.

PYTHON ?= python3
WORKERS ?= 2
ARGS ?=

UV := .tools/bin/uv
BIN := .venv/bin
# Adds to the one environment and never takes away, so that running, testing and benchmarking do not undo each other.
SYNC := $(UV) sync --frozen --inexact --quiet
EXPLAIN := { echo "Setting up failed. Taskyard needs Python 3.11 or later; uv brings one if it can reach GitHub." >&2; exit 1; }

export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help run test check bench gen fmt clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.app ## start the yard on http://127.0.0.1:8000 (ARGS="--port 9000" is passed on)
	@$(BIN)/taskyard serve $(ARGS)

test: .venv/.dev ## run every test, PostgreSQL and Redis included (ARGS="-k cron" is passed on)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: .venv/.all ## lint, format, types, layers, and the generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/taskyard openapi --out docs/openapi --check

bench: .venv/.all ## measure against the bare limits and the peers
	@$(BIN)/python -m bench $(ARGS)

gen: .venv/.dev ## write the OpenAPI files of docs/openapi anew
	$(BIN)/taskyard openapi --out docs/openapi

fmt: .venv/.dev ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and all caches; ./data stays
	rm -rf .venv .tools dist .ruff_cache .pytest_cache .hypothesis .schemathesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV): | tools/bootstrap.py
	@command -v $(PYTHON) >/dev/null || { echo "Taskyard needs Python 3.11 or later as '$(PYTHON)'." >&2; exit 1; }
	@echo "Setting up: uv" && $(PYTHON) tools/bootstrap.py .tools

.venv/.app: pyproject.toml uv.lock | $(UV)
	@echo "Setting up: Taskyard" && $(SYNC) --no-dev || $(EXPLAIN)
	@touch $@

.venv/.dev: pyproject.toml uv.lock | $(UV)
	@echo "Setting up: Taskyard and its test tools" && $(SYNC) || $(EXPLAIN)
	@touch $@

.venv/.all: pyproject.toml uv.lock | $(UV)
	@echo "Setting up: Taskyard, test tools and benchmark peers" && $(SYNC) --all-groups || $(EXPLAIN)
	@touch $@
