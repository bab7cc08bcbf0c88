# Everything sets itself up: `make demo` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Linux without a GPU: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu spares gigabytes of CUDA.
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST_ARGS ?=

.PHONY: demo test lint types soak bench clean

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) -e '.[plot]'
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(PIP) -e '.[dev]'
	# It asks for torchaudio, whose wheels do not load beside a CPU build of torch, and uses it for files only.
	$(PIP) --no-deps openunmix
	touch $@

demo: $(VENV)/.ready
	$(BIN)/python examples/demo.py demo

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n auto -m 'not soak' $(PYTEST_ARGS)

soak: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)

lint: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# mypy cannot map a folder to another package name, so it is shown the tree as it will be installed.
types: $(VENV)/.ready-dev
	mkdir -p build/types/stembridge
	for part in model bridge presets; do ln -sfn $(CURDIR)/$$part build/types/stembridge/$$part; done
	MYPYPATH=build/types:tests $(BIN)/mypy -p stembridge.model -p stembridge.bridge -p stembridge.presets
	MYPYPATH=build/types:tests:examples:benchmarks $(BIN)/mypy tests examples benchmarks

bench: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/render.py

clean:
	rm -rf $(VENV) build dist demo *.egg-info
