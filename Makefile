.PHONY: help install demo up test test-faults check bench lock clean
PYTHON ?= python3
BIN := .venv/bin

help: ## what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install ## the whole of it, from nothing: three providers into Postgres, a summary, everything stopped again
	@$(BIN)/callweave demo

up: install ## the same stack left running: Prefect UI, schedules, a worker (Ctrl-C stops it)
	@$(BIN)/callweave up

test: install ## the whole test suite, on a real Postgres and a real Prefect server
	@$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

test-faults: install ## the full fault matrix: every fault against every provider, eight times the examples
	@$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder -m "faults or not faults" --hypothesis-profile thorough

check: install ## lint, format, types, migration drift
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/python -m tasks.migrate

bench: install ## speed and memory as tables of ratios, peers included
	@$(BIN)/python -m bench

install: .venv/installed ## the environment only (.venv)

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Callweave needs Python 3.11 or newer; set PYTHON=python3.12 or similar")'
	@echo "Installing into .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==0.13.9"
	@$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

lock: ## compile requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group dev pyproject.toml -o requirements.lock

clean: ## remove the environment and the embedded databases
	rm -rf .venv .venv-peers .callweave
