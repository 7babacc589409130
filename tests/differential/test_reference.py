"""The native side of every comparison is the same on every machine, whoever calls it and from where."""

import json
import re
from pathlib import Path

import pytest
from tests import reference

ASK = """
import ctypes, json, locale, os, pathlib, tempfile, time
import numpy, numpy.linalg
import numpy.core._multiarray_umath as umath
library = next(pathlib.Path(numpy.__file__).parents[1].glob("numpy.libs/libopenblas*"))
openblas = ctypes.CDLL(str(library))
openblas.openblas_get_corename64_.restype = ctypes.c_char_p
print(json.dumps({
    "dispatched": list(umath.__cpu_dispatch__),
    "used": [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]],
    "kernel": openblas.openblas_get_corename64_().decode(),
    "threads": openblas.openblas_get_num_threads64_(),
    "locale": locale.setlocale(locale.LC_ALL, ""),
    "zone": time.tzname,
    "scratch": tempfile.gettempdir(),
    "environment": sorted(os.environ),
}))
"""


def test_the_reference_uses_what_it_names_and_nothing_of_the_callers_surroundings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    odd = {
        "LC_ALL": "C", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "TMPDIR": str(tmp_path), "PYTHONHASHSEED": "5",
        "OPENBLAS_NUM_THREADS": "7", "OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
    }  # fmt: skip
    for name, value in odd.items():
        monkeypatch.setenv(name, value)
    done = reference.run("-I", "-c", ASK)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Each choice that this numpy has is made, and this machine has what is allowed.
    assert set(found["dispatched"]) == {*reference.CPU_FEATURES, *reference.DISABLED_CPU_FEATURES}
    assert set(found["used"]) == set(reference.CPU_FEATURES)
    assert (found["kernel"], found["threads"]) == (reference.OPENBLAS_KERNEL, 1)
    assert (found["locale"], found["zone"]) == ("C.UTF-8", ["UTC", "UTC"])
    assert found["scratch"] == str(reference.FOLDER)
    assert set(found["environment"]) == set(reference.environment())


def test_without_the_reference_another_processor_feature_set_is_noticed() -> None:
    done = reference.run("-I", "-c", ASK, more={"NPY_DISABLE_CPU_FEATURES": "AVX2"})
    assert "AVX2" not in json.loads(done.stdout)["used"]


def test_no_other_test_starts_the_native_interpreter_by_itself() -> None:
    folder = Path(reference.__file__).parent
    tellers = {
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        if re.search(r"\.venv-native", file.read_text("utf-8"))
    }
    assert tellers == {"reference.py", "differential/test_reference.py"}
