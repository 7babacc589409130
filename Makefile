# wasmexec. `make demo` and `make test` are all a newcomer needs; every other target is listed by `make help`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
RUN := $(BIN)/python -m wasmexec
NEEDS_BUILD := tests/build/test_image.py tests/build/test_arithmetic.py
NATIVE := guest/native/*.c guest/native/*.h
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo serve-demo unit test check fix lock bench bench-server soak-server soak million \
	fuzz fuzz-long fuzz-native fuzz-mutants fuzz-differential conformance schemathesis image image-core verify \
	native-env schemathesis-env clean
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .venv/ready ## from nothing to real rows: the core image first, then the full one with pandas
	$(RUN) image build core
	$(RUN) run tests/demo/users.py --image core --output-schema tests/demo/users.schema.json
	$(RUN) image build full
	$(RUN) run tests/demo/sales.py --image full --input tests/demo/sales.csv --output-schema tests/demo/sales.schema.json --format table

serve-demo: image ## a server, two tenants, a statement of each over curl, a request that is refused with its reason
	sh tests/demo/serve.sh $(BIN)/python

unit: .venv/ready ## the tests that need no image: host, guest Python natively, the build
	$(BIN)/python -m pytest tests/unit tests/guest_unit tests/build $(addprefix --ignore=,$(NEEDS_BUILD))

test: image native-env schemathesis-env ## every test, on the real image (built first if need be): two at a time, then alone what measures
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not timing"
	$(BIN)/python -m pytest -m timing

check: .venv/ready ## style, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(NATIVE)
	$(BIN)/mypy
	set -e; for file in wasm-build/recipes/*-*/*.py; do \
		case $$file in */smoke.py|*/warmup.py) ;; *) $(BIN)/mypy --no-error-summary $$file ;; esac; done

fix: .venv/ready ## mend style: what ruff can mend, then the layout of Python and of the guest's C
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(NATIVE)

lock: .venv-lock/ready ## pin the host's dependencies anew (make lock UPGRADE=--upgrade: to the newest versions)
	.venv-lock/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes $(UPGRADE) \
		--no-emit-index-url --custom-compile-command 'make lock' --quiet --output-file host/requirements.lock
	.venv-lock/bin/uv pip compile tests/requirements-schemathesis.in --universal --python-version 3.11 --generate-hashes $(UPGRADE) \
		--no-emit-index-url --custom-compile-command 'make lock' --quiet --output-file tests/requirements-schemathesis.txt

bench: image native-env ## measured numbers, native CPython beside the guest
	$(BIN)/python -m tests.bench

bench-server: image ## the numbers of `wasmexec serve`, the library beside it (fifteen minutes; BENCH=--quick: five)
	$(BIN)/python -m tests.bench.server $(BENCH)

soak-server: image ## kills and cancels for half an hour: ten minutes of runs, five of workers, 200 of the server on each store
	$(BIN)/python -m tests.bench.server --long $(BENCH)

soak: image ## 50,000 executions of every kind in one process, which must not grow (a quarter of an hour)
	$(BIN)/python -m tests.soak

fuzz: image-core ## bytes of all kinds against the boundary of the host, two minutes; findings are in .fuzz/findings
	$(BIN)/python -m tests.fuzz --seconds 100

fuzz-long: image-core ## the same until ten million executions are counted; goes on where it stopped (EXECUTIONS=10000000)
	$(BIN)/python -m tests.fuzz --seconds 600 --executions $(or $(EXECUTIONS),10000000)

fuzz-native: image-core ## the guest's C, built for this machine under ASan and UBSan; needs gcc or clang, else it is left out
	$(BIN)/python -m tests.fuzz.native --seconds $(or $(SECONDS),60)

fuzz-mutants: image-core ## how soon the fuzzer finds planted faults, one after the other
	$(BIN)/python -m tests.fuzz.mutants

million: image ## a million rows, row by row: constant memory, each wrong row on record, the others stored once (20 minutes)
	$(BIN)/python -m tests.bench.million

conformance: image native-env ## upstream's own tests and the sweep, in the guest beside native CPython (an hour or two; goes on where it stopped)
	$(BIN)/python -m tests.conformance $(CONFORMANCE)
	$(BIN)/python -m tests.differential.sweep

fuzz-differential: image native-env ## random programs and relations, in the guest and natively, for two minutes; goes on where it stopped (FUZZ="--pairs 1000000")
	$(BIN)/python -m tests.differential.fuzz $(FUZZ)

schemathesis: image schemathesis-env ## requests made from the OpenAPI document, against a running server, for some minutes (SECONDS=600)
	$(BIN)/python -m tests.server.api_tester $(SECONDS)

image: .venv/ready ## the full image, if anything changed
	$(RUN) image build full

image-core: .venv/ready ## the small image without numpy, pandas and matplotlib, if anything changed
	$(RUN) image build core

verify: image ## every check of the built image, with the sweep over all C types
	$(RUN) image verify full

native-env: .venv-native/ready ## native CPython with the guest's package versions, for comparisons

schemathesis-env: .venv-schemathesis/ready ## the tester of the HTTP API, whose dependencies are not ours

# Nothing floats here: the host enforces the boundary, so a run tomorrow installs what was tested today.
.venv/ready: pyproject.toml host/requirements.lock wasm-build/make-venv.sh
	sh wasm-build/make-venv.sh $(PYTHON) .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement host/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv-lock/ready: wasm-build/make-venv.sh
	sh wasm-build/make-venv.sh $(PYTHON) .venv-lock
	.venv-lock/bin/python -m pip install --quiet 'uv>=0.5'
	@touch $@

.venv-native/ready: tests/requirements-native.txt wasm-build/make-venv.sh
	sh wasm-build/make-venv.sh $(PYTHON) .venv-native
	.venv-native/bin/python -m pip install --quiet --requirement tests/requirements-native.txt
	@touch $@

.venv-schemathesis/ready: tests/requirements-schemathesis.txt wasm-build/make-venv.sh
	sh wasm-build/make-venv.sh $(PYTHON) .venv-schemathesis
	.venv-schemathesis/bin/python -m pip install --quiet --require-hashes --requirement tests/requirements-schemathesis.txt
	@touch $@

clean: ## remove the environments of this checkout (the image cache stays)
	rm -rf .venv .venv-native .venv-schemathesis .venv-lock .mypy_cache .ruff_cache .pytest_cache
