# From a bare clone: `make test` makes .venv, installs what it needs and passes the tests.
# TORCH chooses another build, for example `make test TORCH="torch --extra-index-url https://download.pytorch.org/whl/cu128"`.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
# Another torch is another installation.
STAMP := $(VENV)/.installed-$(firstword $(shell echo '$(TORCH)' | cksum))

.PHONY: install quickstart test check bench format clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install -q --disable-pip-version-check $(TORCH) -c constraints.txt -e ".[dev]"
	touch $@

# From a bare clone: the bundled base tuned, asked and shown on a page. QUICKSTART=FOLDER names the new folder.
quickstart: $(STAMP)
	$(BIN)/precept quickstart $(if $(QUICKSTART),-o $(QUICKSTART))

test: $(STAMP)
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Beside TRL at its fastest settings, on every workload; the first call on a machine searches them. Wants an idle machine.
bench: $(STAMP)
	$(BIN)/python -m bench.sft --peer trl --size 20m

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
