# make demo   train with and without intents on the embedded dataset
# make test   the test suite, but for what takes several processes: test-distributed
# Both create .venv where it is missing and install what they need.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pyg_irllrec

PROCESSES = tests/distributed tests/examples/test_sharded_tables.py \
	tests/examples/test_several_devices.py
RAY = tests/text/test_ray_itself.py

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --constraint constraints.txt
# Where the wheels of torch-scatter and torch-sparse lie once they are built: one
# folder for every Python, machine and pins of torch.
WHEELS = $(CACHE)/wheels/$(shell $(PYTHON) -c 'import hashlib, platform; \
	pins = "".join(line for line in open("constraints.txt") if line.startswith("torch")); \
	pins = hashlib.sha256(pins.encode()).hexdigest()[:12]; \
	print(f"py{platform.python_version()}-{platform.machine()}-{pins}")')

# Two rules must not install into one environment at once.
.NOTPARALLEL:
.PHONY: demo dist docs notebooks test lint types wheel-check extras-check test-sparse test-triton \
	test-distributed test-ray gpu-dry quality mutants clean

demo: $(VENV)/.installed-train-plot
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) \
		$(PROCESSES:%=--ignore=%) --ignore=$(RAY) $(PYTEST)

# What starts processes that train together, one test at a time: they fill the machine.
test-distributed: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PROCESSES)

# With an installed Ray; the other tests have a stub.
test-ray: $(VENV)/.installed-test-ray
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(RAY)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports --no-logo

# Triton kernels without a GPU: by Triton's interpreter, and compiled for devices.
test-triton: $(VENV)/.installed-test-triton
	TRITON_INTERPRET=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) \
		tests/functional/_kernels/test_triton.py \
		tests/functional/_kernels/test_intent_propagate_triton.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
		tests/functional/_kernels/test_compile_only.py \
		tests/functional/_kernels/test_intent_propagate_compile_only.py

# All that is measured on a GPU, at toy size on a CPU: does it run?
gpu-dry: $(VENV)/.installed-test-triton
	TRITON_INTERPRET=1 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.gpu --dry

# The site in docs/_build. A reference that leads nowhere is an error.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -q -W --keep-going -n -b html docs docs/_build

# Runs the notebooks of the docs again; one whose texts change is written, and fails.
# NOTEBOOKS='--write docs/notebooks/quick_start.ipynb' for one, with its pictures.
notebooks: $(VENV)/.installed-docs
	OMP_NUM_THREADS=1 $(BIN)/python .ci/notebooks.py $(NOTEBOOKS)

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# The wheel and the sdist, and what PyPI and pip would refuse.
dist: $(VENV)/.torch
	rm -rf dist
	$(PIP) flit_core twine check-wheel-contents
	$(BIN)/python -c 'from flit_core import buildapi; \
		buildapi.build_sdist("dist"), buildapi.build_wheel("dist")'
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

# Both in an environment of their own: the commands of docs/start.md, and tests.
wheel-check: dist
	rm -rf .venv-wheel
	$(MAKE) VENV=.venv-wheel .venv-wheel/.torch
	$(BIN)/python .ci/wheel_check.py .venv-wheel dist constraints.txt

# Each extra alone.
extras-check: dist
	rm -rf .venv-wheel
	$(MAKE) VENV=.venv-wheel .venv-wheel/.torch
	$(BIN)/python .ci/extras_check.py .venv-wheel dist/*.whl constraints.txt

# With torch-scatter and torch-sparse, in an environment of its own: what can take a
# SparseTensor, or make one.
test-sparse:
	$(MAKE) VENV=.venv-sparse .venv-sparse/.installed-extensions test \
		PYTEST='-k "SparseTensor or sparse_tensor or adjacency_formats" \
		tests/functional tests/nn tests/transforms tests/utils'

# What recommends best: hours, for a schedule. Without QUALITY, whether it runs at all;
# QUALITY='--root DIR --out RUNS --data movie --jobs 2' for the table of a dataset.
quality: $(VENV)/.installed-quality
	OMP_NUM_THREADS=1 nice $(BIN)/python -m benchmarks.quality $(or $(QUALITY),--smoke)

# Whether the tests bite: hours, for a schedule. MUTANTS='--sample 150' for a sample.
mutants: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 nice $(BIN)/python -m benchmarks.mutation --workers $(WORKERS) \
		$(MUTANTS)

# torch comes first and alone, so that nothing else chooses its build.
$(VENV)/.torch: constraints.txt
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) torch
	touch $@

# .installed-a-b: the package with its extras a and b.
$(VENV)/.installed-%: $(VENV)/.torch pyproject.toml
	$(PIP) --editable '.[$(subst -,$(comma),$*)]'
	touch $@
comma := ,

# Not a pattern of extras: these two are built against the torch that is installed.
$(VENV)/.installed-extensions: $(WHEELS) $(VENV)/.installed-test
	$(PIP) --no-deps $(WHEELS)/*.whl
	touch $@

# About nine minutes, hence the cache. Without ninja, which would write one build file
# for two extensions at once, and without debug symbols.
$(WHEELS): | $(VENV)/.torch
	$(PIP) setuptools wheel numpy
	mkdir -p $(@D)
	part=$$(mktemp -d $@.XXXX) && \
	printf '[build_ext]\nparallel=$(WORKERS)\n' > $$part.cfg && \
	CFLAGS=-g0 DIST_EXTRA_CONFIG=$$part.cfg $(BIN)/python -m pip wheel --quiet \
		--no-deps --no-build-isolation --constraint constraints.txt \
		--wheel-dir $$part torch-scatter torch-sparse && \
	rm $$part.cfg && mv -T $$part $@

clean:
	rm -rf .venv .venv-sparse .venv-wheel runs build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
