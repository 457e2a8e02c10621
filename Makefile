# With nothing but Python 3.11 (or newer) and make:
#
#   make run                   makes .venv (NumPy alone), installs, opens bptui        ARGS="train digits"
#   make run EXTRAS=torch      the same with torch
#   make test                  makes .venv-dev and runs every test                     ARGS="-k ring"  JOBS=2
#   make lint                  ruff, mypy --strict, import contracts
#   make bench                 every benchmark, as one JSON document on standard output
#   make screenshots           the pictures of the README, from the running program
#   make docs                  generated parts and pictures of docs/        ARGS="measure digits"
#   make fmt | clean | pins
#
# A second run installs nothing and uses no network, until pyproject.toml or constraints.txt change.

SHELL := /bin/sh
ARGS ?=
EXTRAS ?=
JOBS ?=
PYTHON ?=

RUN := .venv
DEV := .venv-dev
DEV_EXTRAS := dev,torch,parquet,onnx

comma := ,
RUN_STAMP := $(RUN)/.installed$(if $(EXTRAS),-$(subst $(comma),-,$(EXTRAS)))
DEV_STAMP := $(DEV)/.installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# $(call install,folder,extras): an environment with the package in it, editable, at the pinned versions.
# The build backend is installed first and used from there: no isolated build, no second download.
define install
	@python=""; \
	fits() { "$$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
	if [ -n "$(PYTHON)" ]; then \
	    fits "$(PYTHON)" && python="$(PYTHON)"; \
	else \
	    for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	        if fits $$name; then python=$$name; break; fi; \
	    done; \
	fi; \
	if [ -z "$$python" ]; then \
	    echo "bptui needs Python 3.11 or newer; $(if $(PYTHON),PYTHON=$(PYTHON) is older or not there,none was found (name one: make PYTHON=/path/to/python3.11 …))" >&2; \
	    exit 1; \
	fi; \
	if ! fits $(1)/bin/python || ! $(1)/bin/python -m pip --version >/dev/null 2>&1; then \
	    echo "Making $(1) with $$($$python -V) …" >&2; \
	    $$python -m venv --clear $(1) || { \
	        echo "$$python cannot make an environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	@echo "Installing bptui$(if $(2),[$(2)]) into $(1), once …" >&2
	@$(1)/bin/python -m pip install -qq -c constraints.txt hatchling
	@$(1)/bin/python -m pip install -qq -c constraints.txt --no-build-isolation -e '.$(if $(2),[$(2)])'
	@$(1)/bin/python -m compileall -q bptui  # as pip does for what is no editable install: the first start is a quick one
	@touch $@
endef

.PHONY: run
run: $(RUN_STAMP)
	@exec $(RUN)/bin/bptui $(ARGS)

.PHONY: test
test: $(DEV_STAMP)
	@exec $(DEV)/bin/python -m pytest $(if $(JOBS),-n $(JOBS) --dist loadgroup) $(ARGS)

.PHONY: lint
lint: $(DEV_STAMP)
	@$(DEV)/bin/ruff check
	@$(DEV)/bin/mypy
	@$(DEV)/bin/lint-imports --no-logo

.PHONY: fmt
fmt: $(DEV_STAMP)
	@$(DEV)/bin/ruff check --fix
	@$(DEV)/bin/ruff format $(ARGS)

.PHONY: bench
bench: $(DEV_STAMP)
	@exec $(DEV)/bin/python benchmarks/run.py $(ARGS)

.PHONY: screenshots
screenshots: $(DEV_STAMP)
	@exec $(DEV)/bin/python screenshots/make.py $(ARGS)

.PHONY: docs
docs: $(DEV_STAMP)
	@exec $(DEV)/bin/python docs/make.py $(ARGS)

# The versions that .venv-dev holds now, as the new constraints. Delete .venv-dev first for the newest ones. What
# follows the second remark (extras that are installed nowhere here) stays as it is.
.PHONY: pins
pins: $(DEV_STAMP)
	@sed -n '1,2p' constraints.txt > constraints.new
	@$(DEV)/bin/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' | sort -f >> constraints.new
	@sed -n '/^# Of the extras/,$$p' constraints.txt >> constraints.new
	@mv constraints.new constraints.txt

.PHONY: clean
clean:
	rm -rf $(RUN) $(DEV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN_STAMP): pyproject.toml constraints.txt
	$(call install,$(RUN),$(EXTRAS))

$(DEV_STAMP): pyproject.toml constraints.txt
	$(call install,$(DEV),$(DEV_EXTRAS))
