# The targets that README and CI call. Everything goes into $(VENV); nothing is needed before but Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
# What the tests run on: make test BACKENDS=jax, or BACKENDS="jax torch", installs and needs nothing of the others.
BACKENDS ?= tensorflow jax torch
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
GATE := build/gate
# To which `make gate` adds what this commit scored, took and needed: bench history build/commits.jsonl
HISTORY ?= build/commits.jsonl
# Processes that share the files of the default tests; each takes up to 5 GiB with all three backends.
WORKERS ?= 2
# Of `make faults`: how many random kills, and their dice.
KILLS ?= 200
# Of `make benchmark-against`: how many times each side runs.
RUNS ?= 5
SEED ?= 0
# Of the slow tests, a process each: compiled steps stay in a process's memory, 11 GiB for all of them.
PIECES := 40
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
PINNED := $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
empty :=
DEV := $(VENV)/.dev-$(subst $(empty) ,-,$(sort $(BACKENDS)))

.PHONY: help demo test test-all test-arch fuzz faults benchmark benchmark-against benchmark-pairs lint type site docs specs gate gate-trials verdict baseline \
	install dev clean ci-lint ci-site ci-all ci-tensorflow ci-jax ci-torch ci-oldest ci-newest ci-wheel ci-gate

help:  ## Show the targets
	@grep -hE '^[a-z -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 30

demo: install  ## Train two small models on drawn shapes and show the leaderboard (about 4 minutes, no download of data)
	$(BIN)/bench run --config demo --results demo
	$(BIN)/bench report demo

test: dev  ## Install what the tests need and run them, on all backends or on those of BACKENDS=jax
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist loadfile

test-all: test  ## Run every test, the full matrix of architectures included (hours on two cores)
	@failed=; for i in $$(seq $(PIECES)); do \
		$(BIN)/python -m pytest -m slow --splits $(PIECES) --group $$i || failed="$$failed $$i"; \
	done; test -z "$$failed" || { echo "Failed: pieces$$failed of $(PIECES)"; exit 1; }

test-arch: dev  ## Test one architecture where it is tiny: make test-arch ARCH=unet [SLOW=1: its agreement on all backends too]
	$(BIN)/python -m pytest tests/test_architectures.py $(wildcard tests/test_$(ARCH).py) \
		$(if $(SLOW),,-m "not slow") -k "$(ARCH):small or $(ARCH):tiny or [$(ARCH)] or test_$(ARCH).py or written_specs"

faults: dev  ## Kill runs, crash them at every point, start several at once, cut the power (root): about 20 minutes, Linux
	rm -rf build/faults
	$(BIN)/python -m tests.faults.crash_points build/faults/new
	$(BIN)/python -m tests.faults.crash_points build/faults/forced --force
	$(BIN)/python -m tests.faults.storm build/faults/storm --kills $(KILLS) --seed $(SEED)
	for n in 2 4; do $(BIN)/python -m tests.faults.together build/faults/together-$$n --runners $$n --rounds 3 || exit 1; done
	test "$$(id -u)" != 0 || $(BIN)/python -m tests.faults.power_cut build/faults/power --cuts 20 --seed $(SEED)

fuzz: dev  ## Read inputs that are changed at random, with a new seed each time: make fuzz [COUNT=500] [FUZZ_SEED=1]
	$(BIN)/python tests/fuzz --count $(or $(COUNT),500) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED))

benchmark: dev  ## Time the parts of the harness with pytest-benchmark
	mkdir -p build
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-json=build/benchmark.json

benchmark-against: benchmark-pairs  ## Run them here and at a revision in turn, and judge the ratios: make benchmark-against AGAINST=HEAD~1
	$(BIN)/bench check --benchmarks build/benchmarks

benchmark-pairs: dev
	rm -rf build/benchmarks build/base && mkdir -p build/benchmarks && git worktree prune
	git worktree add --detach build/base "$(AGAINST)"
	$(MAKE) -C build/base dev VENV=.venv
	for n in $$(seq $(RUNS)); do \
		(cd build/base && .venv/bin/python -m pytest tests/benchmarks --benchmark-only \
			--benchmark-json=$(CURDIR)/build/benchmarks/base-$$n.json) && \
		$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-json=build/benchmarks/new-$$n.json || exit 1; \
	done

lint: dev  ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: dev  ## Check types, of the folders architectures and datasets under the names that they are installed by
	rm -rf build/types && mkdir -p build/types/bench
	ln -s $(CURDIR)/bench/* $(CURDIR)/architectures $(CURDIR)/datasets build/types/bench/
	cd build/types && $(abspath $(BIN))/python -m mypy --config-file $(CURDIR)/pyproject.toml

specs: dev  ## Write architectures/specs.json and count the parameters of new architectures (ARCH=unet: of that one again)
	$(BIN)/python tests/make_specs.py $(ARCH)

site: $(VENV)/.site  ## Build the pages of docs/ as a site, build/site/index.html; whatever would fetch from the net is refused
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs: dev  ## Write the parts of documents that are made from the code
	$(BIN)/python .ci/docs.py

gate-trials: dev
	rm -rf $(GATE)
	$(BIN)/bench run --config gate --results $(GATE)
	-$(BIN)/bench history $(GATE) --append $(HISTORY)

gate: gate-trials  ## Train the regression gate's small grid and compare it with results/baseline.json
	$(BIN)/bench check $(GATE) --limits .ci/limits.toml --markdown $(GATE)/check.md --junit $(GATE)/check.xml

verdict: benchmark-pairs gate-trials  ## The same, and speed and benchmarks against a revision, in one verdict: make verdict AGAINST=HEAD~1
	$(BIN)/bench check $(GATE) --against "$(AGAINST)" --benchmarks build/benchmarks --limits .ci/limits.toml \
		--markdown $(GATE)/check.md --junit $(GATE)/check.xml

baseline: gate-trials  ## Store this hardware's results in results/baseline.json: make baseline REASON='why'
	$(BIN)/bench check $(GATE) --update --reason "$(REASON)"

install: $(VENV)/.installed  ## Install segbench with TensorFlow
dev: $(DEV)  ## Install what the tests need: segbench, the tools and the backends of BACKENDS

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install $(PINNED) -e .
	touch $@

# Not by `pip install -e .[dev]`, which brings TensorFlow whatever BACKENDS says.
$(DEV): pyproject.toml constraints.txt .ci/requirements.py | $(BIN)/python
	$(BIN)/python .ci/requirements.py $(BACKENDS) > $(VENV)/requirements.txt
	$(PIP) install $(PINNED) -r $(VENV)/requirements.txt
	$(PIP) install --no-deps -e .
	touch $@

$(VENV)/.site: $(DEV)
	$(BIN)/python .ci/requirements.py docs > $(VENV)/site.txt
	$(PIP) install $(PINNED) -r $(VENV)/site.txt
	touch $@

# The jobs of ci.yml, each in an environment of its own that is made anew. `make ci-jax PYTHON=python3.12` takes another Python.
FRESH = rm -rf build/$@ && $(MAKE) VENV=build/$@

ci-lint:  ## Check style and types, without any backend
	$(FRESH) BACKENDS= lint type

ci-site:  ## Build the site, without any backend
	$(FRESH) BACKENDS= site

ci-all:  ## Run the tests on the three backends
	$(FRESH) test

ci-tensorflow ci-jax ci-torch:  ## Run the tests with one backend, where the other two aren't installed
	$(FRESH) BACKENDS=$(@:ci-%=%) test

# Without PyTorch, whose oldest version brings 3 GB of CUDA libraries; old versions beside new ones may warn.
ci-oldest:  ## Run the tests with the oldest versions that pyproject.toml allows
	mkdir -p build && $(PYTHON) .ci/requirements.py --oldest tensorflow jax > build/oldest.txt
	$(FRESH) BACKENDS="tensorflow jax" CONSTRAINTS=build/oldest.txt PYTEST_ADDOPTS="-W default" test

ci-newest:  ## Run the tests with the newest versions there are
	$(FRESH) CONSTRAINTS= test

ci-wheel:  ## Build the wheel, install it in a clean environment and train with it
	rm -rf build/$@ && $(PYTHON) -m venv build/$@
	build/$@/bin/python -m pip -q wheel --no-deps --wheel-dir build/$@/dist .
	build/$@/bin/python -m pip -q install $(PINNED) build/$@/dist/*.whl
	cd build/$@ && bin/bench --help && bin/bench list architectures
	cd build/$@ && bin/bench run --arch unet --param 'filters=[4,8]' --dataset shapes --image-size 32 --budget 5steps

ci-gate:  ## Judge quality, speed and benchmarks in one verdict: make ci-gate AGAINST=HEAD~1
	$(FRESH) verdict

clean:  ## Remove the virtual environment and what the tools left
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
