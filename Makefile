# The environment .venv is made from the lock files when it is missing or older than they are.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# `make image IMAGES=steps` builds one of them; BUILD_OPTIONS go to `docker build`. steps-cpu is
# `steps` without CUDA. Torch's build is the one that the package index serves: where that is CUDA's,
# steps-cpu needs TORCH_INDEX, the address of PyTorch's index of builds for the processor.
IMAGES := steps steps-cpu serve mlflow
BUILD_OPTIONS :=
TORCH_INDEX :=
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
COMMIT = $(shell git describe --always --dirty --abbrev=40 --match=)

.DEFAULT_GOAL := help
.PHONY: help setup repro run test test-fast coverage chaos lint lock hashes audit sbom docs step compile image ui clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make the environment .venv from the lock files

# First all that has hashes, by them. torch has none: its build is the one that the index serves.
HASHED := requirements-hashed.lock requirements-dev-hashed.lock
$(READY): requirements.lock requirements-dev.lock $(HASHED) pyproject.toml
	@echo "== making $(VENV) from requirements.lock and requirements-dev.lock (about 2 minutes)"
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "Decant needs Python 3.11 to 3.13; set PYTHON=..."'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --require-hashes --no-deps $(HASHED:%=-r %)
	$(VENV)/bin/python -m pip install --quiet -r requirements.lock -r requirements-dev.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --editable .
	@touch $(READY)

repro: $(READY) ## Run the whole pipeline on the default data with DVC: text in, registered student out
	@echo "== dvc repro: runs the stages whose inputs changed"
	dvc repro
	@echo "== report: reports/report.html; figures: reports/metrics.json; runs and models: make ui"

run: $(READY) ## The same pipeline with Kubeflow's local runner, into runs/
	decant run

PYTEST = pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(READY) ## All tests, the slow ones too
	@echo "== pytest"
	python -m $(PYTEST)

coverage: $(READY) ## The same tests, and how much of the code they ran
	@echo "== pytest, with coverage"
	@mkdir -p build
	python -m slipcover --json --out build/coverage.json -m $(PYTEST)
	@python .ci/coverage_table.py build/coverage.json

test-fast: $(READY) ## The fast tests
	python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not slow"

# CHAOS="--only kills --number 7" makes one attack again.
CHAOS :=
chaos: $(READY) ## Attack it: kills, damaged caches, full disks, hostile input (up to 20 minutes)
	python -m tests.chaos $(CHAOS)

lint: $(READY) ## Style, types, and what may import what
	ruff check .
	ruff format --check .
	lint-imports --no-cache
	mypy

# The theme prints on every build that it ends in May 2027: pyproject.toml knows.
docs: $(READY) ## Build the documentation site strictly, into build/site
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

step: $(READY) ## Begin a new step: make step NAME=my_step INPUTS=corpus,tokens OUTPUTS=my_port
	python -m scaffold.new_step $(NAME) $(if $(INPUTS),--inputs=$(INPUTS)) $(if $(OUTPUTS),--outputs=$(OUTPUTS))

compile: $(READY) ## Write the package for a Kubeflow cluster: build/decant.yaml
	decant compile

image: ## Build the images: of the steps, with and without CUDA, to serve a model, and MLflow's server
	@for target in $(IMAGES); do \
	  echo "== image decant-$$target:$(VERSION)"; \
	  case $$target in steps-cpu) on="--build-arg COMPUTE=cpu --build-arg TORCH_INDEX=$(TORCH_INDEX)";; *) on=;; esac; \
	  docker build $(BUILD_OPTIONS) --file docker/Dockerfile --target $${target%-cpu} $$on \
	    --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) \
	    --tag decant-$$target:$(VERSION) . || exit; \
	done

ui: $(READY) ## Look at the runs and models of the embedded store
	mlflow ui --backend-store-uri sqlite:///mlflow.db

# The CUDA packages are torch's own, exact pins: left out, so that the lock also installs where
# a CPU build of torch is served. Of the two builds of ONNX Runtime each system gets one. What the
# peers of a benchmark need themselves is in the two other files.
lock: $(READY) ## Resolve the lock files anew from pyproject.toml
	(printf '%s\n' '# Made by `make lock`. Without hashes, and without the CUDA packages that torch itself pins, so that the' \
	  '# same file installs the CUDA build of torch on a GPU machine and the CPU build where that is served.'; \
	  uv pip compile -q --universal -p 3.11 --no-annotate --no-header --extra all --extra gpu pyproject.toml \
	  | grep -vE '^(nvidia-|cuda-|triton)' \
	  | sed -E "s/^(onnxruntime==[^ ]+)$$/\1 ; sys_platform == 'darwin'/") > requirements.lock.new
	mv requirements.lock.new requirements.lock
	uv pip compile -q --universal -p 3.11 --no-annotate --no-header --group dev --group docs \
	  -c requirements.lock -o requirements-dev.lock
	uv pip compile -q --universal -p 3.11 --no-deps --no-annotate --no-header --group peers \
	  -c requirements.lock -c requirements-dev.lock -o requirements-peers.lock
	$(MAKE) hashes

# Of every file of a release, as the index gives them, so that all systems find theirs.
hashes: ## Look up the hashes of all that is locked but torch
	@for name in requirements requirements-dev requirements-peers; do \
	  (echo "# Made by \`make hashes\`: $$name.lock without torch, and the sha256 of every file of each release."; \
	  grep -vE '^(#|torch==)' $$name.lock | uv pip compile -q --universal -p 3.11 --no-config --no-deps \
	    --no-annotate --no-header --generate-hashes -) > $$name-hashed.lock.new \
	  && mv $$name-hashed.lock.new $$name-hashed.lock || exit; \
	done

# Its advisories come from the package index; a finding ends it with an error.
audit: $(READY) ## Look up known vulnerabilities of the locked packages (needs the internet)
	uv tool run pip-audit@2.10.1 --requirement requirements.lock --no-deps --disable-pip

# Of what is installed in the images that `make image` has built, in build/sbom, as CycloneDX.
IN_IMAGE = docker run --rm --interactive --entrypoint python decant-$$target:$(VERSION)
sbom: $(READY) ## Write a bill of materials of each image (needs the images, and the internet)
	@mkdir -p build/sbom
	@for target in $(IMAGES); do \
	  echo "== build/sbom/decant-$$target.cdx.json"; \
	  $(IN_IMAGE) - < docker/installed_packages.py > build/sbom/decant-$$target.txt \
	  && uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements build/sbom/decant-$$target.txt \
	    --output-reproducible --of JSON -o build/sbom/decant-$$target.cdx.json || exit; \
	done

clean: ## Remove the artifacts of the last runs (not DVC's cache, not the registry)
	rm -rf artifacts reports build runs
