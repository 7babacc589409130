"""The stage `tools`: compiler and generators from the package index, in an environment of their own in the cache.

They are kept out of the project's environment because their versions are old on purpose (Cython 0.29 for pandas 2.0).
"""

import functools
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from wasmbuild import errnos
from wasmbuild.errors import BuildError
from wasmbuild.graph import Stage, StageRun
from wasmbuild.process import tail_of
from wasmbuild.recipe import StageFailed
from wasmbuild.stamp import code_hash, file_hash, stamp_of

REQUIREMENTS = Path(__file__).resolve().parent.parent / "tools.txt"
GUEST_PYTHON = (3, 11)
NAME = "tools"


@functools.cache
def build_python() -> Path:
    """A CPython 3.11 of this machine: it compiles the image's bytecode, which must be the guest's own.

    Raises:
        BuildError: there is none.
    """
    if sys.version_info[:2] == GUEST_PYTHON and sys.implementation.name == "cpython":
        return Path(sys.executable)
    found = shutil.which("python3.11")
    if found is None:
        raise BuildError("building an image needs CPython 3.11 (the guest's own version); there is no python3.11 here")
    return Path(found)


def tools_stage() -> Stage:
    """The stage that installs tools.txt."""
    return Stage(
        name=NAME,
        stamp=stamp_of(
            NAME,
            file_hash(REQUIREMENTS),
            *(file_hash(errnos.TABLE), code_hash(Path(errnos.__file__))),
            *(platform.system(), platform.machine(), str(_base_python())),
        ),
        action=_install,
        estimate_seconds=15,
    )


@functools.cache
def _base_python() -> Path:
    # The environment links to this interpreter: another one, or one that has moved, needs another environment.
    if Path(sys.executable) == build_python():
        return Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    return build_python().resolve()


def python_in(tools: Path) -> Path:
    """The interpreter of the installed tools."""
    return tools / "venv" / "bin" / "python"


def zig_in(tools: Path) -> Path:
    """The compiler driver of the installed tools."""
    return tools / "venv" / "lib" / "python3.11" / "site-packages" / "ziglang" / "zig"


def _install(run: StageRun) -> None:
    venv = run.output / "venv"
    run.report(0, 0, "creating an environment")
    # The commands' start lines would name the scratch folder; modules run with -m do not care where they lie.
    _call(run, str(build_python()), "-m", "venv", "--without-pip", str(venv))
    run.report(0, 0, "installing the compiler")
    _call(
        run, sys.executable, "-m", "pip", f"--python={python_in(run.output)}", "install", "--no-input",
        "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile",
        "--no-warn-script-location", "-r", str(REQUIREMENTS),
    )  # fmt: skip
    zig = zig_in(run.output)
    if not zig.exists():
        raise StageFailed(f"the installed tools have no {zig.name}", log=run.log)
    version = subprocess.run([zig, "version"], capture_output=True, text=True, check=False).stdout.strip()
    errnos.fail_like_linux(zig.parent / "lib")
    with run.log.open("a", encoding="utf-8") as log:
        log.write(f"zig {version}\n")


def _call(run: StageRun, *argv: str) -> None:
    code, _ = run.processes.run(argv, run.work, os.environ, run.log)
    if code != 0:
        raise StageFailed(f"{argv[2]} ended with status {code}", log=run.log, tail=tail_of(run.log))
