# The targets that README and CI call. Everything goes into $(VENV); nothing is needed before but Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
GATE := build/gate
WHEELS_FOR := 3.12
# Of the slow tests, a process each: compiled steps stay in a process's memory, 11 GiB for all of them.
PIECES := 40
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: help demo test test-all benchmark lint type gate baseline wheels gpu install dev backends clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: install  ## Train two architectures on drawn shapes and show the leaderboard (about 10 minutes, no download of data)
	$(BIN)/bench run --arch unet,deeplab --dataset shapes --budget 60s --seeds 2 --results demo
	$(BIN)/bench report demo

test: dev  ## Run the tests, on the Keras backends that are installed
	$(BIN)/python -m pytest -m "not slow"

test-all: test  ## Run every test, the full matrix of architectures included (hours on two cores)
	@failed=; for i in $$(seq $(PIECES)); do \
		$(BIN)/python -m pytest -m slow --splits $(PIECES) --group $$i || failed="$$failed $$i"; \
	done; test -z "$$failed" || { echo "Failed: pieces$$failed of $(PIECES)"; exit 1; }

benchmark: dev  ## Time the parts of the harness with pytest-benchmark
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only

lint: dev  ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: dev  ## Check types
	$(BIN)/mypy

gate: backends dev  ## Train the regression gate's small grid and compare it with results/baseline.json
	rm -rf $(GATE)
	$(BIN)/bench run --config gate --results $(GATE)
	$(BIN)/bench check $(GATE) --limits .ci/limits.toml --markdown $(GATE)/check.md --junit $(GATE)/check.xml

baseline: backends dev  ## Make results/baseline.json anew: make baseline REASON='why'
	rm -rf $(GATE)
	$(BIN)/bench run --config gate --results $(GATE)
	$(BIN)/bench check $(GATE) --update --reason "$(REASON)"

wheels: dev  ## Collect wheels for a GPU machine without a network: make wheels [WHEELS_FOR=3.12] [HAVE=its-pip-freeze.txt]
	$(BIN)/python .ci/wheels.py build/wheels --python $(WHEELS_FOR) $(if $(HAVE),--have $(HAVE))

gpu:  ## Measure the stored grid on this machine's GPU: make gpu [LIMIT=minutes] [PETS=folder] [SMALL=1]
	$(or $(wildcard $(BIN)/python),$(PYTHON)) .ci/gpu.py $(if $(LIMIT),--limit $(LIMIT)) $(if $(PETS),--pets $(PETS)) $(if $(SMALL),--small)

install: $(VENV)/.installed  ## Install segbench with TensorFlow
dev: $(VENV)/.dev  ## Install what the tests need as well
backends: $(VENV)/.backends  ## Install the JAX and PyTorch backends as well

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e ".[dev]"
	touch $@

$(VENV)/.backends: $(VENV)/.installed
	$(PIP) install -c constraints.txt torch
	$(PIP) install -c constraints.txt -e ".[jax,torch]"
	touch $@

clean:  ## Remove the virtual environment and what the tools left
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
