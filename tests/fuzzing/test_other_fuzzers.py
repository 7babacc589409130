"""The page's examples of other fuzzers, run as they stand: Hypothesis, Atheris, and AFL++ through `fuzz serve`."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzzing.test_fuzz_command import MENDED, SHARES

ROOT = Path(__file__).resolve().parents[2]
HARNESS = Path(__file__).with_name("afl_harness.c")
ATHERIS = """
import atheris

atheris.Setup([__file__, "-runs=300", "-seed=1", "-max_len=40"], TestOneInput)
atheris.Fuzz()
"""
WITHOUT_ATHERIS = """
import random

source = random.Random(1)
for size in (0, *range(40)) * 8:
    TestOneInput(source.randbytes(size))
"""
AFL = """
static unsigned char data[16];
static unsigned count, size = 16;
#define __AFL_FUZZ_INIT() unsigned char *__afl_area_ptr
#define __AFL_INIT() ((void)0)
#define __AFL_LOOP(most) (count++ < most)
#define __AFL_FUZZ_TESTCASE_BUF data
#define __AFL_FUZZ_TESTCASE_LEN size
"""


def example() -> str:
    """The Python of the page."""
    page = (ROOT / "docs" / "fuzzing.md").read_text("utf-8")
    [found] = [part for part in page.split("```python\n")[1:] if "def TestOneInput" in part]
    return found.partition("```")[0]


def ran(folder: Path, step: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder with the step; our commands are found, as for a user who has installed them."""
    (folder / "orders.step.yaml").write_text(step, "utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return subprocess.run(
        command, cwd=folder, capture_output=True, check=False, timeout=200, encoding="utf-8",
        env={**os.environ, "PATH": path},
    )  # fmt: skip


@pytest.mark.parametrize(("step", "code"), [(SHARES, 1), (MENDED, 0)], ids=["wrong", "right"])
def test_hypothesis(step: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "test_orders.py").write_text(example(), "utf-8")
    done = ran(tmp_path, step, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_orders.py")
    assert (done.returncode, "ZeroDivisionError" in done.stdout) == (code, code == 1), done.stdout


@pytest.mark.parametrize(("step", "is_wrong"), [(SHARES, True), (MENDED, False)], ids=["wrong", "right"])
def test_atheris(step: str, is_wrong: bool, tmp_path: Path) -> None:
    """Where it is not installed the function gets bytes all the same."""
    is_there = importlib.util.find_spec("atheris") is not None
    if not is_there:
        print("Atheris is not installed: its function is run with bytes of ours")
    (tmp_path / "fuzz_orders.py").write_text(example() + (ATHERIS if is_there else WITHOUT_ATHERIS), "utf-8")
    done = ran(tmp_path, step, sys.executable, "fuzz_orders.py")
    assert (done.returncode != 0, "RuntimeError: division by zero" in done.stderr + done.stdout) == (is_wrong, is_wrong)


def test_afl(tmp_path: Path) -> None:
    """The harness without AFL++, which would give it one input after the other in the same process, as here."""
    compiler = ["cc", "-Wall", "-Wextra", "-Werror", "-O1"]
    harness = tmp_path / "afl_harness"
    subprocess.run([*compiler, "-o", str(harness), str(HARNESS)], check=True)
    source = random.Random(1)
    files = [tmp_path / f"input{number}" for number in range(60)]
    for number, file in enumerate(files):
        file.write_bytes(source.randbytes(number))
    right = ran(tmp_path, MENDED, str(harness), "orders.step.yaml", *map(str, files))
    assert (right.returncode, right.stdout) == (0, "".join(f"{file}: nothing found\n" for file in files))
    wrong = ran(tmp_path, SHARES, str(harness), "orders.step.yaml", *map(str, files))
    assert wrong.returncode == -signal.SIGABRT
    assert '"exception":"ZeroDivisionError"' in wrong.stderr
    assert wrong.stdout == right.stdout[: len(wrong.stdout)]
    (tmp_path / "afl.h").write_text(AFL, "utf-8")
    subprocess.run([*compiler, "-fsyntax-only", "-include", str(tmp_path / "afl.h"), str(HARNESS)], check=True)
