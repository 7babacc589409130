#!/bin/sh
# Run by OSS-Fuzz's base-builder-python in a checkout: one executable and one seed corpus for each target without an image.
set -eu
python3 -m pip install --require-hashes --requirement host/requirements.lock
python3 -m pip install --no-deps --no-build-isolation .
for name in $(python3 -c 'from tests.fuzz.targets import TARGETS; print(*[n for n, t in TARGETS.items() if t.kind != "real"])'); do
	cp tests/fuzz/oss_fuzz/fuzz_target.py "tests/fuzz/oss_fuzz/fuzz_$name.py"
	PYTHONPATH=. compile_python_fuzzer "tests/fuzz/oss_fuzz/fuzz_$name.py" \
		--collect-submodules wasmexec --collect-submodules tests.fuzz --collect-all wasmtime
	python3 -m tests.fuzz.seeds zip "$name" "$OUT/fuzz_${name}_seed_corpus.zip"
done
