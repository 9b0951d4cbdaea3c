# `make test` and `make demo` work on a machine that has Python 3.11 or later and nothing else.
#   VENV=DIR     keep this checkout's environment in DIR instead of the user's cache
#   PYTHON=FILE  make the environment with another interpreter
#   TESTS=...    what pytest runs, such as TESTS=tests/mllmu
#   WORKERS=N    how many processes run tests

SHELL := /bin/bash
export VENV PYTHON
TESTS ?= tests
WORKERS ?= 2

.PHONY: help environment demo test test-gpu lint types bench fingerprints constraints

help:
	@echo "make demo   make a tiny model forget people, print what it forgot and kept"
	@echo "make test   lint, types and tests"
	@echo "make test-gpu   check and time everything on a CUDA device, in at most six minutes (FOLDER=DIR: figures there)"
	@echo "make lint | types | bench | environment"
	@echo "make fingerprints   check that masks, prompts, scores and answers of the embedded model are what they were"
	@echo "make constraints   take the newest versions that setup.cfg allows"

environment:
	@scripts/environment

demo:
	@venv=$$(scripts/environment) && PATH="$$venv/bin:$$PATH" lmms-manu demo $(ARGS)

lint:
	@venv=$$(scripts/environment) && "$$venv/bin/ruff" check . && "$$venv/bin/ruff" format --check .

types:
	@venv=$$(scripts/environment) && "$$venv/bin/mypy"

test: lint types
	@venv=$$(scripts/environment) && PATH="$$venv/bin:$$PATH" OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} "$$venv/bin/python" -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

test-gpu:
	@scripts/gpu_check $(FOLDER)

bench:
	@venv=$$(scripts/environment) && for file in benchmarks/bench_*.py; do PATH="$$venv/bin:$$PATH" "$$venv/bin/python" "$$file" || exit 1; done

fingerprints:
	@venv=$$(scripts/environment) && "$$venv/bin/python" scripts/fingerprints.py --check

constraints:
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $${PYTHON:-python3} -m venv "$$folder" && \
	"$$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade setuptools wheel && \
	"$$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[test]' && \
	{ sed '/^[^#]/d' constraints.txt && \
	"$$folder/bin/python" -m pip freeze --disable-pip-version-check --all --exclude pip --exclude-editable | \
	grep -vE '^(nvidia|cuda|triton)'; } >"$$folder/constraints.txt" && mv "$$folder/constraints.txt" constraints.txt
