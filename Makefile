# `make demo` and `make test` do everything on a fresh Debian 12; the rest are their parts.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup deps build install quick test test-cpp test-sanitized test-python test-sanitized-python demo wheel docs lint format bench clean

# The interpreter that makes .venv; 3.11 or newer.
PYTHON ?= python3
export PYTHON
VENV := .venv/bin
JOBS ?= $(shell nproc)
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

help:  ## this text
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/:/' | awk -F': ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup:  ## apt packages (root or sudo) and .venv
	@scripts/setup.sh

deps: setup  ## third-party libraries, once, into a cache outside the tree
	@scripts/deps.sh

build: deps  ## the core and its C++ tests, optimised, in build/release
	cmake --preset release --log-level=WARNING
	cmake --build --preset release

install: deps  ## the Python package into .venv
	$(VENV)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall .

quick: build install  ## tests that take seconds
	ctest --preset quick
	$(VENV)/python -m pytest -q -m "not slow"

test: test-cpp test-python test-sanitized  ## everything

test-cpp: build
	WRACKLINE_SEEDS=2000 ctest --preset release

test-python: install
	$(VENV)/python -m pytest -q
	$(VENV)/python tests/vectors/run.py tests/vectors

test-sanitized: deps
	cmake --preset asan --log-level=WARNING
	cmake --build --preset asan
	ctest --preset asan
	cmake --preset tsan --log-level=WARNING
	cmake --build --preset tsan
	ctest --preset tsan

wheel: deps  ## the wheel in dist/: for the oldest glibc that this machine can build for, measured, tried
	rm -rf build/wheel dist
	$(VENV)/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir build/wheel .
	PATH="$(CURDIR)/$(VENV):$$PATH" $(VENV)/python -m auditwheel repair --wheel-dir dist build/wheel/*.whl
	$(VENV)/python scripts/check_wheel.py dist/*.whl

docs: install  ## the API reference, from the docstrings, in build/docs
	rm -rf build/docs
	$(VENV)/python -m sphinx -W --keep-going -q -E -b html -d build/docs-cache docs/api build/docs
	@echo "build/docs/index.html"

test-sanitized-python: install  ## the binding under AddressSanitizer, for minutes; not part of `make test`
	@scripts/sanitized_python.sh

demo: install  ## a job on real records, killed half-way and restarted, every record accounted for
	@$(VENV)/python examples/demo.py

OWN_CPP = $(shell git ls-files -co --exclude-standard 'cpp/*.h' 'cpp/*.cc' 'tests/cpp/*.h' 'tests/cpp/*.cc' 'benchmarks/*.cc' 'benchmarks/*.h')
# All of cpp/ is checked in CI; `make lint TIDY_BASE=HEAD~1` checks what changed since.
TIDY_BASE ?=
TIDY_FILES = $(if $(TIDY_BASE),$(shell git diff --name-only --diff-filter=d $(TIDY_BASE) -- 'cpp/wrackline/*.cc'),$(shell git ls-files -co --exclude-standard 'cpp/wrackline/*.cc'))

lint: deps  ## formatting, clang-tidy, ruff, mypy, the dependency rule
	$(VENV)/python scripts/check_structure.py
	$(VENV)/python scripts/rules.py --check
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy python examples benchmarks tests/python tests/typing scripts
	$(VENV)/clang-format --dry-run -Werror $(OWN_CPP)
	cmake --preset tidy --log-level=WARNING
	printf '%s\n' $(TIDY_FILES) | xargs -r -n 1 -P $(JOBS) $(VENV)/clang-tidy -p build/tidy --quiet

format:  ## puts C++ and Python into the project's form
	$(VENV)/clang-format -i $(OWN_CPP)
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

bench: install  ## the table of benchmarks/, also as benchmarks/results.json
	cmake --preset bench --log-level=WARNING
	cmake --build --preset bench
	$(VENV)/python benchmarks/run.py

clean:  ## builds; not .venv and not the cache
	rm -rf build dist
