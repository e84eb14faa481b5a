# Every target does the set-up first; that takes minutes once and about a second afterwards.
# Another interpreter: make PYTHON=python3.12 setup

RUN := .venv/bin/python

.PHONY: help setup demo test format

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

setup:  ## make .venv with everything in it
	@bash tools/setup.sh

demo: setup  ## train and compare small detectors, start to finish
	$(RUN) tools/demo.py

test: setup  ## format check, linter, types, tests
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy ge_det
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist loadfile --durations=15

format: setup  ## format, and mend what the linter can mend
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .
