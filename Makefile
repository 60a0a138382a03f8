# Two commands to know: `make demo` and `make test`. Everything runs in .venv, made on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A version whose wheel is small where it is the only one installed.
TORCH ?= torch==2.13.0
# What coremltools' own tests use besides torch; later releases of Python have no wheel of this one.
PEER := pillow pandas requests 'scikit-learn<=1.5.1; python_version < "3.13"'
# How many processes run tests, each a file at a time.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
TESTS := -m pytest -n $(JOBS) --dist loadfile
KERNELS := $(filter-out milpass/kernels/__init__.py,$(wildcard milpass/kernels/*.py))

.PHONY: demo test test-torch test-core test-fitting test-long test-models test-wheel conformance check bench performance clean

demo: $(VENV)/.installed  ## compress the example model and show what it costs
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev check  ## the whole suite
	MILPASS_EFFORT=1 $(BIN)/python $(TESTS)

test-torch: $(VENV)-torch/.installed  ## what converts torch modules, in an environment of its own
	$(VENV)-torch/bin/python $(TESTS) tests/with_torch

conformance: $(VENV)-torch/.installed  ## coremltools' own tests of its functions, ours in their place: minutes
	$(VENV)-torch/bin/python -m tests.conformance

test-core: $(VENV)/.dev  ## plans, passes, selectors, texts, formats: no Core ML, in seconds
	$(BIN)/python -m pytest tests/core

test-fitting: $(VENV)/.dev  ## kernels and fits against brute force: no Core ML either
	$(BIN)/python $(TESTS) tests/fitting

test-long: $(VENV)/.dev  ## the properties of both with fifty times the examples, in minutes
	MILPASS_EFFORT=50 $(BIN)/python $(TESTS) tests/core tests/fitting

test-models: $(VENV)/.dev  ## every package below FOLDER, on its own release and raised, at all numbers of bits
	MILPASS_ALL_MODELS="$(FOLDER)" $(BIN)/python -m pytest tests/with_coremltools/test_real_models.py -k every_package

test-wheel: $(VENV)/.installed  ## build the wheel, install it into an empty environment, run the command
	rm -rf dist build/wheel
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	$(BIN)/python -m venv --clear build/wheel
	build/wheel/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	cd build/wheel && bin/python -c "from milpass.kernels import COMPILED; assert COMPILED"
	cd build/wheel && bin/milpass palettize ../../examples/digits.mlpackage -o digits.mlpackage --nbits 4
	cd build/wheel && bin/milpass inspect digits.mlpackage

check: $(VENV)/.dev  ## style, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

performance: $(VENV)/.bench  ## docs/performance.md and its plots, anew: ten minutes
	$(BIN)/python -m benchmarks fit process formats limits ranges scaling dropin --quick --json build/performance.json || true
	$(BIN)/python -m benchmarks.page build/performance.json

bench: $(VENV)/.bench  ## ours against coremltools, side by side
	$(BIN)/python -m benchmarks

$(VENV)/.installed: pyproject.toml setup.py $(KERNELS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing milpass into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# Kernels are built once, by the installation that the others stand on.
$(VENV)/.dev: $(VENV)/.installed
	@MILPASS_KERNELS=built $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	@MILPASS_KERNELS=built $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

# Its kernels are those that stand in this folder already: the same Python built them.
$(VENV)-torch/.installed: $(VENV)/.installed
	@test -x $(VENV)-torch/bin/python || $(PYTHON) -m venv $(VENV)-torch
	@echo "Installing milpass and $(TORCH) into $(VENV)-torch"
	@$(VENV)-torch/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@MILPASS_KERNELS=built $(VENV)-torch/bin/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[dev]' $(PEER)
	@$(VENV)-torch/bin/python -c "from milpass.kernels import COMPILED; assert COMPILED"
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-torch build *.egg-info milpass/kernels/*.so
