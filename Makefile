# Everything installs into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= .demo

.PHONY: demo test lint run native clean

NATIVE := setup.py $(shell find collector -name '_*.pyx' -o -name '*.hpp' -o -name '_*.pxd')

$(VENV)/installed: pyproject.toml $(NATIVE)
	$(PYTHON) -c 'import sys; sys.exit("spanmeter needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/installed  ## Start the daemon, send it a real agent run, show what was stored.
	$(BIN)/spanmeter demo --data-dir $(DEMO_DIR)

test: $(VENV)/installed  ## Run every test.
	$(BIN)/python -m pytest

lint: $(VENV)/installed  ## Style, types, import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

run: $(VENV)/installed  ## Run the daemon with its defaults.
	$(BIN)/spanmeter serve

native: $(VENV)/installed  ## Compile the native modules again, in place.
	$(BIN)/python setup.py -q build_ext --inplace --force

clean:
	rm -rf $(VENV) $(DEMO_DIR) build dist *.egg-info
