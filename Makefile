.PHONY: help install demo up test test-fast test-faults check picture recording views bench lock clean
PYTHON ?= python3
BIN := .venv/bin
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml
PURE := tests/models tests/test_house.py $(addprefix tests/tasks/test_, outcomes.py settings.py walker.py)

help: ## what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install ## everything, from nothing: three providers into Postgres, a summary, everything stopped again
	@$(BIN)/callweave demo

up: install ## the same stack left running: Prefect UI, schedules, a worker (Ctrl-C stops it)
	@$(BIN)/callweave up

test: install ## the whole test suite, on a real Postgres and a real Prefect server
	@$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

test-fast: install ## the tests of pure functions alone: no database, no server, seconds
	@$(BIN)/pytest -q -m "not faults and not exhaustive" $(PURE)

test-faults: install ## the full fault matrix: every fault against every provider, eight times the examples
	@$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder -m "faults or not faults" --hypothesis-profile thorough

check: install ## lint, format, types, migration drift
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/python -m tasks.migrate

picture: install ## draw docs/images/architecture.svg again from the imports
	@$(BIN)/python -m tests.support.architecture

recording: install ## run the demo, and draw what it ends with as docs/images/demo.svg again
	@$(BIN)/python -m tests.support.recording

views: install ## write docs/views.md and docs/callweave.odcs.yaml again from the database
	@$(BIN)/python -m tests.support.views

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

lock: ## compile requirements.lock again from pyproject.toml, and of it what running needs
	@$(BIN)/uv pip compile $(LOCK) --group dev -o requirements.lock
	@$(BIN)/uv pip compile $(LOCK) --extra parquet --constraints requirements.lock -o requirements-run.lock

clean: ## remove the environment and the embedded databases
	rm -rf .venv .venv-* .callweave
