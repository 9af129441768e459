# Everything installs into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= .demo

# Every test process and daemon imports more than a thousand modules: compiled once, and not each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-ui screens test-pure test-python long soak lint format docs run native fuzz fuzz-native asan clean

NATIVE := setup.py $(shell find collector -name '_*.pyx' -o -name '*.hpp' -o -name '_*.pxd')

$(VENV)/installed: pyproject.toml clients/python/pyproject.toml $(NATIVE)
	$(PYTHON) -c 'import sys; sys.exit("spanmeter needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --editable ./clients/python
	touch $@

demo: $(VENV)/installed  ## Start the daemon, send it a real agent run, show what was stored.
	$(BIN)/spanmeter demo --data-dir $(DEMO_DIR)

# A file is one process's: its tests share daemons. In the order of their names, so that the last ones are small.
TEST_PROCESSES ?= 2

PYTEST := -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed  ## Run every test.
	$(BIN)/python $(PYTEST) $(TEST_OPTIONS)

# What a variant of the code can change; what is under load, of crashes and of pages is left to `make test`.
VARIANT := -m 'not slow and not long and not soak' tests/unit tests/conformance
FIXTURES := $(wildcard tests/integration/test_fixtures_*.py) tests/integration/test_agent_sessions.py
PURE := build/pure

test-ui: $(VENV)/installed  ## The tests of pages, in headless Chromium.
	$(BIN)/python -m pytest tests/ui

screens: $(VENV)/installed  ## Take the pictures of the pages in docs/screens from the demo's data. Needs Chromium.
	$(BIN)/python -m tests.support.screens

test-pure: $(VENV)/installed  ## The quick tests, on a copy in which nothing is compiled.
	rm -rf $(PURE)
	mkdir -p $(PURE)
	cp -r $(wildcard *.md *.py *.toml *.yaml) benchmarks clients collector deploy docs schema tests $(PURE)
	find $(PURE) -name '*.so' -delete
	cd $(PURE) && PYTHONPATH=$(CURDIR)/$(PURE):$(CURDIR)/$(PURE)/clients/python $(CURDIR)/$(BIN)/python $(PYTEST) $(VARIANT) $(FIXTURES) --native=none

test-python: PYTHON := $(shell .ci/another-python $(PYTHON))
test-python:  ## The quick tests of units and of what senders meet, on the newest other Python that this machine has.
	@if [ -z "$(PYTHON)" ]; then echo "There is no other Python 3.11 or newer on this machine: nothing is tested."; \
	else $(MAKE) test PYTHON=$(PYTHON) VENV=.venv-other TEST_OPTIONS="$(VARIANT) tests/contract --native=all"; fi

long: $(VENV)/installed  ## Run the tests that take minutes.
	$(BIN)/python $(PYTEST) -m long

soak: $(VENV)/installed  ## Run what is too long for every change: judges asked for minutes, and killed meanwhile.
	$(BIN)/python -m pytest -m soak

CPP = $(shell find collector -name '*.hpp') $(wildcard tests/fuzz/*.[ch]pp tests/fuzz/*/*.h)

lint: $(VENV)/installed  ## Style, types, import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(CPP)
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed  ## Render config.example.yaml and the reference pages of docs/ from the code.
	$(BIN)/python -m collector.docs

format: $(VENV)/installed  ## Write Python and C++ in the style that lint checks.
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

run: $(VENV)/installed  ## Run the daemon with its defaults.
	$(BIN)/spanmeter serve

native: $(VENV)/installed  ## Compile the native modules again, in place.
	$(BIN)/python setup.py -q build_ext --inplace --force

FUZZ_SECONDS ?= 60

fuzz: $(VENV)/installed  ## Look for requests on which the native modules differ from the reference.
	$(BIN)/python -m tests.support.fuzz $(FUZZ_SECONDS)

fuzz-native: $(VENV)/installed  ## Coverage-guided (libFuzzer): the HTTP/2 codec, the decode kernel, counting and transcoding, so long each.
	$(BIN)/python -m tests.support.native_fuzz $(FUZZ_SECONDS)

# A build of its own, so that no sanitized module is ever installed. Leaks are the interpreter's own business.
SANITIZED := build/sanitized

asan: $(VENV)/installed  ## The tests of the native modules and the fuzzer, under AddressSanitizer and UBSan.
	SPANMETER_SANITIZE=address,undefined $(BIN)/python setup.py -q build --build-base $(SANITIZED) --build-lib $(SANITIZED)/lib
	ln -sfn $(CURDIR)/tests $(SANITIZED)/lib/tests
	cd $(SANITIZED)/lib && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc ARROW_DEFAULT_MEMORY_POOL=system \
	  SPANMETER_FUZZ_SECONDS=$(FUZZ_SECONDS) $(CURDIR)/$(BIN)/python -m pytest --noconftest -p no:cacheprovider \
	  tests/unit/test_kernel.py tests/unit/test_decode.py tests/unit/test_validate.py tests/unit/test_columnwise.py \
	  tests/unit/test_traces.py tests/unit/test_traces_native.py tests/unit/test_http2.py tests/fuzz/test_decode.py

clean:
	rm -rf $(VENV) .venv-other $(DEMO_DIR) build dist *.egg-info clients/python/build clients/python/*.egg-info
