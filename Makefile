# One venv, pinned by requirements.lock; every target sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
FAULT ?= bad-release
ARGS ?=
export MUSTER_STATE_DIR MUSTER_PORT

.PHONY: setup demo up test lint fmt lock crash injection bench evals clean

.venv/.run: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "Muster needs Python 3.11, 3.12 or 3.13; this is %d.%d. Choose another with: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.lock
	@touch $@

.venv/.dev: .venv/.run requirements-dev.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.lock
	@touch $@

setup: .venv/.run            ## build .venv

demo: .venv/.run             ## the main job: the demo shop breaks, Muster handles it
	@exec $(BIN)/python -m bot demo --fault $(FAULT) $(ARGS)

up: .venv/.run               ## start Muster alone
	@exec $(BIN)/python -m bot up $(ARGS)

test: .venv/.dev             ## all tests
	$(BIN)/python -m pytest -n 4 $(ARGS)

crash: .venv/.dev            ## kill the worker, then the bot, at every write; compare endings, count model calls
	$(BIN)/python -m tests.crash.sweep $(ARGS)

injection: .venv/.dev        ## text that tells a model what to do, and a model that obeys: nothing may happen
	$(BIN)/python -m tests.injection $(ARGS)

lint: .venv/.dev             ## ruff, mypy strict, import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.run            ## one table of figures against their targets; bench/latest.json
	$(BIN)/python -m bench $(ARGS)

evals: .venv/.run            ## our scenarios: how often the outcome is right, with intervals
	$(BIN)/python -m bot eval tests/evals $(or $(ARGS),--min-cases 20)

fmt: .venv/.dev              ## format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: .venv/.dev             ## resolve the pins again, for all supported Pythons
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf .venv
