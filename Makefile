# Two commands do everything on a machine that has Python 3.11 or newer and make:
#   make demo    install, then estimate the effect of job training in LaLonde's study
#   make test    install the test tools, then run the quick tests
# Both can be run again at any time: what is installed stays until pyproject.toml or
# constraints.txt change.

PYTHON ?= python3
TORCH_BACKEND ?= cpu
TEST_WORKERS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
STAMPS := $(VENV)/.stamps

# One thread a worker: more only make the workers wait for each other.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow notebooks docs lint format types contracts sizes check clean

help:  ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo "  TORCH_BACKEND=auto make demo   installs torch for the GPU that is found"

demo: $(STAMPS)/data  ## install, then run LaLonde's job-training study from data to report
	@$(VENV)/bin/causal-ddpm demo --n-jobs 2

test: $(STAMPS)/test  ## install the test tools, then run the quick tests
	@$(PY) -m pytest -n $(TEST_WORKERS)

test-slow: $(STAMPS)/test  ## run the slow tests (minutes each)
	@$(PY) -m pytest -m slow

notebooks: $(STAMPS)/docs  ## run the notebooks and keep their output (minutes)
	@$(PY) scripts/run_notebooks.py

docs: $(STAMPS)/docs  ## write the documentation site to build/site (NOTEBOOKS=all runs them all again)
	@$(PY) scripts/run_notebooks.py $(if $(filter all,$(NOTEBOOKS)),,--changed)
	@$(PY) -m sphinx -W --keep-going -q -c docs -d build/doctrees . build/site
	@echo "Written: build/site/index.html"

lint: $(STAMPS)/dev  ## ruff: rules and format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: $(STAMPS)/dev  ## ruff: repair what can be repaired
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

types: $(STAMPS)/dev  ## mypy, strict on core
	@$(PY) -m mypy

contracts: $(STAMPS)/dev  ## import-linter: the layers of ARCHITECTURE.md
	@$(VENV)/bin/lint-imports

sizes: $(STAMPS)/venv  ## limits on the length of files, functions and classes
	@$(PY) scripts/check_sizes.py

check: lint types contracts sizes test  ## all of the above

clean:  ## remove the environment and every cache
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# -- installation -----------------------------------------------------------------------------
# An existing environment is used as it is. One that is half-made, that lost its Python, or that
# came along when the folder was copied or moved (it would still run the old folder's code) is made
# again: its stamp holds the folder that it was made for.
ifneq ($(wildcard $(PY)) $(shell cat $(STAMPS)/venv 2>/dev/null),$(PY) $(CURDIR))
.PHONY: $(STAMPS)/venv
endif

$(STAMPS)/venv:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; there is no '$(PYTHON)'." >&2; exit 1; }
	@if [ -x $(PY) ]; then $(PY) scripts/preflight.py before; else $(PYTHON) scripts/preflight.py before; fi
	@[ "$$(cat $@ 2>/dev/null || pwd)" = "$$(pwd)" ] && $(PY) -m pip --version >/dev/null 2>&1 \
	  || { echo "Creating $(VENV) ..."; $(PYTHON) -m venv --clear $(VENV); }
	@mkdir -p $(STAMPS) && pwd > $@

$(STAMPS)/torch-$(TORCH_BACKEND): $(STAMPS)/venv constraints.txt
	@echo "Installing torch ..."
	@$(PY) scripts/install.py torch $(TORCH_BACKEND)
	@touch $@

$(STAMPS)/data $(STAMPS)/test $(STAMPS)/dev $(STAMPS)/docs: $(STAMPS)/torch-$(TORCH_BACKEND) pyproject.toml
	@echo "Installing causal-ddpm[$(@F)] (a minute or two the first time) ..."
	@$(PY) scripts/install.py package $(@F)
	@$(PY) scripts/preflight.py after
	@touch $@
