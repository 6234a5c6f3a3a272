# Everything a newcomer needs. Python 3.11 or later and make; the rest is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LINKS := $(VENV)/lint
export OMP_NUM_THREADS ?= 1
export RAY_USAGE_STATS_ENABLED ?= 0

.PHONY: demo test test-all lint audit format bench install lock clean

demo: install  ## run the main job on data that needs no download, and report it
	$(BIN)/python -m sweep run quickstart
	$(BIN)/python -m sweep report quickstart

# What starts Ray has all cores to itself: two of them at a time would take longer than one after another.
test: install  ## the tests
	$(BIN)/python -m pytest -n 2 -m "not slow and not ray"
	$(BIN)/python -m pytest -m "ray and not slow"

test-all: install  ## the slow ones too
	$(BIN)/python -m pytest

lint: install $(LINKS)  ## format, style, types, import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	cd $(LINKS) && ../bin/mypy --config-file $(CURDIR)/pyproject.toml
	cd $(LINKS) && ../bin/lint-imports --config $(CURDIR)/pyproject.toml --no-cache
	@$(MAKE) --no-print-directory audit

# The packages as they lie once installed: mypy and import-linter do not know the search path of a checkout's
# transfer_sweep, which is set as it is imported.
$(LINKS): Makefile
	rm -rf $@ && mkdir -p $@/transfer_sweep
	ln -s $(CURDIR)/transfer_sweep/*.py $(addprefix $(CURDIR)/,sweep algorithms datasets reports search_spaces) $@/transfer_sweep
	ln -s $(CURDIR)/tests $(CURDIR)/benchmarks $@

# It writes its findings to a file, and none where it cannot ask (it ends with 1 then, too).
audit: install  ## known vulnerabilities in requirements.lock, where the network lets us ask
	@rm -f $(VENV)/audit.txt; \
	if $(BIN)/pip-audit -r requirements.lock --no-deps --disable-pip -s osv --timeout 5 --progress-spinner off \
	  $(AUDIT_FLAGS) -o $(VENV)/audit.txt 2>$(VENV)/audit.log; then echo "pip-audit: no known vulnerability"; \
	elif test -s $(VENV)/audit.txt; then cat $(VENV)/audit.txt; exit 1; \
	else echo "pip-audit: skipped, cannot ask ($$(tail -n 1 $(VENV)/audit.log | cut -c 1-120))"; fi

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install  ## speed, as ratios in one run
	$(BIN)/python -m benchmarks

install: $(STAMP)

# uv where it is to be had, else pip; the exact versions are those of requirements.lock. Bytecode is made here, as pip
# does: where Python is told not to write any (as in many containers), each process would compile 4000 files anew.
$(STAMP): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if $(BIN)/python -m pip install -q --disable-pip-version-check uv; then \
	  $(BIN)/uv pip install --python $(BIN)/python -q --compile-bytecode -r requirements.lock && \
	  $(BIN)/uv pip install --python $(BIN)/python -q --no-deps --no-build-isolation -e .; \
	else \
	  $(BIN)/python -m pip install -q -r requirements.lock && \
	  $(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .; \
	fi
	touch $@

lock: install  ## write requirements.lock anew from pyproject.toml's ranges
	$(BIN)/uv pip compile -q --all-extras --no-header --no-annotate --universal --python-version 3.11 pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
