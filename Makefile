# Every target does the set-up first; that takes minutes once and about a second afterwards.
# Another interpreter: make PYTHON=python3.12 setup

RUN := .venv/bin/python

.PHONY: help setup demo test docs pythons stack format

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

setup:  ## make .venv with everything in it
	@bash tools/setup.sh

demo: setup  ## train and compare small detectors, start to finish
	$(RUN) tools/demo.py

test: setup docs  ## format check, linter, types, dependencies, pages, tests
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) -m deptry ge_det
	$(RUN) -m deptry lab tools --optional-dependencies-dev-groups dev,docs --ignore DEP002
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations=40

docs: setup  ## the pages, into site/
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

pythons:  ## the tests that need no torch, on every supported Python that is on this machine
	@bash .ci/pythons

stack:  ## another stack, tested: make stack PYTHON=python3.12 TORCH=2.11.0 FAMILY=onedl NUMPY=1.26.4
	@bash tools/stack.sh

format: setup  ## format, and mend what the linter can mend
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .
