# make lab        set everything up and open JupyterLab on the notebooks
# make test       set everything up and run every check
# make check      run the quick part of it: no test that starts another process, a kernel or a browser
# make notebooks  run all notebooks again and save them; says so when two runs differ
# make bench      print the benchmarks' figures, how each call's cost grows, and ratios to other stores (installs them)
# make bench AGAINST=COMMIT  print how many times as quick today's kit is as that of an earlier commit
# make pages      write the notebooks as pages that work offline
# make clean      remove what the commands above made
#
# Nothing but Python 3.11 or later, pip and make is assumed. PYTHON=… names another Python.

VENV := .venv
READY := $(VENV)/.ready
RUN := $(VENV)/bin/python
LAB_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup lab test check lint format types imports tests notebooks pages bench clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(READY)

# The first Python that is new enough makes the environment. Where Python lacks ensurepip (Debian without
# python3-venv), the environment is made without a pip of its own and filled from outside.
$(READY): pyproject.toml constraints.txt
	@for python in $(or $(PYTHON),python3 python python3.14 python3.13 python3.12 python3.11); do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; \
	done; \
	if test -z "$$python"; then echo "Python 3.11 or later is needed; name one: make PYTHON=…" >&2; exit 1; fi; \
	test -x $(RUN) && $(RUN) -c '' 2>/dev/null || "$$python" -m venv --clear $(VENV) >/dev/null 2>&1 || \
	  "$$python" -m venv --clear --without-pip $(VENV) || exit 1; \
	if $(RUN) -m pip --version >/dev/null 2>&1; then pip="$(RUN) -m pip"; else pip="$$python -m pip --python $(RUN)"; fi; \
	echo "setting up $(VENV) (only the first time takes long)"; \
	$$pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

lab: setup
	$(RUN) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks $$(test "$$(id -u)" != 0 || echo --allow-root) $(LAB_FLAGS)

test: lint types imports tests

check: lint types imports
	$(RUN) -m pytest -n 2 --dist loadfile -m "not processes" eventsourcing_kit tests

lint: setup
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check

format: setup
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

types: setup
	$(RUN) -m mypy
	$(VENV)/bin/basedpyright --pythonpath $(RUN)

imports: setup
	$(VENV)/bin/lint-imports

tests: setup
	$(RUN) -m pytest -n 2 --dist loadfile

notebooks: setup
	$(RUN) -m tests.notebooks.save

pages: setup
	$(RUN) -m tests.notebooks.pages

ifdef AGAINST
bench: setup
	$(RUN) -m tests.benchmarks.against "$(AGAINST)"
else
bench: setup
	@if $(RUN) -m pip --version >/dev/null 2>&1; then pip="$(RUN) -m pip"; \
	else pip="$(or $(PYTHON),python3) -m pip --python $(RUN)"; fi; \
	$$pip --disable-pip-version-check install --quiet --constraint constraints.txt --editable '.[bench]'
	$(RUN) -m tests.benchmarks
	$(RUN) -m tests.benchmarks.growth
	$(RUN) -m tests.benchmarks.compare
endif

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
