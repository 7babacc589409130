"""What the sweep of `image verify` leaves out ends native CPython, too: every listed target is tried there."""

import json
from pathlib import Path

import pytest
from tests import reference

from wasmbuild.verify import known_crashes

ROOT = Path(__file__).resolve().parent.parent.parent
GUESTSIDE = ROOT / "wasm-build" / "wasmbuild" / "guestside"

# One process imports all once and forks for each target, which is swept with nothing else of its module; the first
# fork sweeps the module without all of them and must survive. Damaged memory may show only when the process ends.
RUNNER = """
import json, os, resource, sys
folder, group, crashes = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, folder)
import importlib, numpy, numpy.core._multiarray_tests, numpy.core._rational_tests, pandas, sweep
for start, module in {"aiohttp": "aiohttp", "matplotlib": "matplotlib._tri", "pybind11": "matplotlib._tri"}.items():
    if group.startswith(start):
        importlib.import_module(module)
sweep.load_all = lambda: None
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
types = [group + "." + t.__qualname__ for t in sweep._all_types() if str(t.__module__) == group]
names = types + [group + "." + name for name in sweep._functions(sys.modules.get(group, json))]
wrong = []
for target in ["", *crashes]:
    skip = [name for name in crashes if name != target]
    if target:
        skip += [name for name in names if not (target + ".").startswith((name + ".", name + "(", name + "<"))]
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        sweep.sweep(group, skip, lambda name: None)
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) == (target == ""):
        wrong.append(target or "the rest")
print(json.dumps(wrong))
"""
# What an uninitialised object holds, and whether anybody notices a write beyond an object, must not be left to chance.
GARBAGE = {"PYTHONMALLOC": "debug", "MALLOC_PERTURB_": "165"}


@pytest.mark.parametrize(("group", "crashes"), known_crashes().items(), ids=list(known_crashes()))
def test_what_the_sweep_leaves_out_ends_native_cpython(group: str, crashes: list[str], tmp_path: Path) -> None:
    command = ["-W", "ignore", "-c", RUNNER, str(GUESTSIDE), group, json.dumps(crashes)]
    survivors = set(crashes)
    # Where memory lies differs from process to process: a target must end one of three.
    for _ in range(3):
        answer = reference.run(*command, folder=tmp_path, more=GARBAGE)
        assert answer.returncode == 0, answer.stderr
        wrong = set(json.loads(answer.stdout))
        assert "the rest" not in wrong
        survivors &= wrong
        if not survivors:
            break
    assert survivors == set()
