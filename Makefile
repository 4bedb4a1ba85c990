# make demo   train with and without intents on the embedded dataset
# make test   the whole test suite
# Both create .venv where it is missing and install what they need.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pyg_irllrec

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --constraint constraints.txt
# Where the wheels of torch-scatter and torch-sparse lie once they are built.
WHEELS = $(CACHE)/wheels/$(shell $(PYTHON) -c 'import platform; print(f"py{platform.python_version()}")')-$(shell sed -n 's/^torch==/torch/p' constraints.txt)

.PHONY: demo test lint types test-sparse clean

demo: $(VENV)/.installed-train-plot
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) $(PYTEST)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# The suite again, with torch-scatter and torch-sparse, in an environment of its own.
test-sparse: $(WHEELS)
	$(MAKE) VENV=.venv-sparse .venv-sparse/.installed-sparse
	$(MAKE) VENV=.venv-sparse test

# torch comes first and alone, so that nothing else chooses its build.
$(VENV)/.torch: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	touch $@

# .installed-a-b: the package with its extras a and b.
$(VENV)/.installed-%: $(VENV)/.torch pyproject.toml
	$(PIP) --editable '.[$(subst -,$(comma),$*)]'
	touch $@
comma := ,

.venv-sparse/.installed-sparse: $(WHEELS) .venv-sparse/.installed-test
	$(PIP) --no-deps $(WHEELS)/*.whl
	touch $@

# These two build against the installed torch, in about ten minutes, hence the cache.
$(WHEELS): | $(VENV)/.installed-test
	$(PIP) setuptools wheel ninja
	rm -rf $@.part
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation \
		--constraint constraints.txt --wheel-dir $@.part torch-scatter torch-sparse
	mv $@.part $@

clean:
	rm -rf .venv .venv-sparse runs build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
