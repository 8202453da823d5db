# Two commands: `make demo` and `make test`. Everything lands in this folder; only pip's cache lies elsewhere.
VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := $(VENV)/bin
# Processes that share the tests out, each of one thread.
WORKERS ?= 2
export MPLCONFIGDIR := $(abspath $(VENV))/matplotlib
export FLWR_HOME := $(abspath $(VENV))/flower
export FLWR_TELEMETRY_ENABLED := 0
export FLWR_DISABLE_UPDATE_CHECK := 1
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: demo test slow install lock clean

demo: install
	$(BIN)/everywear federate demo --out runs/demo

test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist loadgroup

slow: install
	$(BIN)/python -m pytest -m slow

install: $(VENV)/.installed

# The mark is written last: an install that was interrupted has none, and starts again from an empty folder.
$(VENV)/.installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "everywear needs Python 3.11; $(PYTHON) is another. Try: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "installing into $(VENV): a few minutes, 2 GB"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

# Write constraints.txt anew from what is installed.
lock:
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/ @ .*//; s/\+cpu//' | grep -v '^-e' > constraints.txt

clean:
	rm -rf $(VENV) runs data models *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
