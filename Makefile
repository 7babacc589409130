# wasmexec. `make demo` and `make test` are all a newcomer needs; every other target is listed by `make help`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
RUN := $(BIN)/python -m wasmexec
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check bench million conformance image verify native-env clean
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/ready ## from nothing to real rows: the core image first, then the full one with pandas
	$(RUN) image build core
	$(RUN) run tests/demo/users.py --image core --output-schema tests/demo/users.schema.json
	$(RUN) image build full
	$(RUN) run tests/demo/sales.py --image full --input tests/demo/sales.csv --output-schema tests/demo/sales.schema.json --format table

test: image native-env ## every test, on the real image (built first if need be)
	$(BIN)/python -m pytest

check: .venv/ready ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	set -e; for file in wasm-build/recipes/*-*/*.py; do \
		case $$file in */smoke.py|*/warmup.py) ;; *) $(BIN)/mypy --no-error-summary $$file ;; esac; done

bench: image native-env ## measured numbers, native CPython beside the guest
	$(BIN)/python -m tests.bench

million: image ## a million rows, row by row: constant memory, each wrong row on record, the others stored once (20 minutes)
	$(BIN)/python -m tests.bench.million

conformance: image native-env ## upstream's own tests in the guest beside native CPython (an hour or two; goes on where it stopped)
	$(BIN)/python -m tests.conformance $(CONFORMANCE)

image: .venv/ready ## the full image, if anything changed
	$(RUN) image build full

verify: image ## every check of the built image, with the sweep over all C types
	$(RUN) image verify full

native-env: .venv-native/ready ## native CPython with the guest's package versions, for comparisons

.venv/ready: pyproject.toml wasm-build/make-venv.sh
	sh wasm-build/make-venv.sh $(PYTHON) .venv
	$(BIN)/python -m pip install --quiet --editable '.[build,dev]'
	@touch $@

.venv-native/ready: tests/requirements-native.txt wasm-build/make-venv.sh
	sh wasm-build/make-venv.sh $(PYTHON) .venv-native
	.venv-native/bin/python -m pip install --quiet --requirement tests/requirements-native.txt
	@touch $@

clean: ## remove the environments of this checkout (the image cache stays)
	rm -rf .venv .venv-native .mypy_cache .ruff_cache .pytest_cache
