# Each target sets up what it needs: Python >= 3.11 with pip and a package index is enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 4))')
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: help setup demo test check bench docs format clean

help:
	@echo "make demo               the main job on real data, offline, in about a minute"
	@echo "make test               every test"
	@echo "make check              format, lint, types, architecture and the fast tests"
	@echo "make bench NAME=startup one benchmark; QUICK=1 for a short run, FULL=1 for a thorough one"
	@echo "make docs               the documentation as a site, in docs/_build"
	@echo "make format             lay out the code and mend what the linter can mend"
	@echo "PYTHON=python3.12 chooses the interpreter that $(VENV) is made with."

$(READY): pyproject.toml src/headstart/__init__.py
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Headstart needs Python >= 3.11 and $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@echo "Setting up $(VENV); the first time this downloads PyTorch and takes some minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(READY)

demo: $(READY)
	@$(BIN)/python examples/digits.py

test: $(READY)
	@$(PYTEST)

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy & types=$$!; $(PYTEST) -m 'not slow' tests/architecture tests/docs tests/unit; tests=$$?; wait $$types && exit $$tests

bench: $(READY)
	@$(BIN)/python -m benchmarks $(NAME)

docs: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@HF_HUB_OFFLINE=1 $(BIN)/python -m sphinx -q -W --keep-going docs docs/_build
	@echo "docs/_build/index.html"

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
