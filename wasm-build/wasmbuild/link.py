"""Links the guest: our C code, the interpreter, every extension and library, into one module."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from wasmbuild.errors import BuildError
from wasmbuild.graph import StageRun
from wasmbuild.plan import ROOT
from wasmbuild.recipe import Recipe
from wasmbuild.toolchain import Toolchain
from wasmbuild.wasmfile import Module
from wasmexec._guest.interface import ALLOWED_IMPORTS, HOST_MODULE, WASI_MODULE

NATIVE = ROOT.parent / "guest" / "native"
EXPORTS = (
    "memory", "_initialize", "wx_fs_reserve", "wx_fs_commit", "wx_boot",
    "wx_channel", "wx_reserve", "wx_step", "wx_where",
)  # fmt: skip
_FLAGS = ("-std=c11", "-DNDEBUG", "-fno-strict-aliasing", "-fwrapv", "-Wall", "-Wextra")


def init_name(dotted: str) -> str:
    """The name of an extension object's init function."""
    return "PyInit_" + dotted.replace(".", "__dot__")


def inittab_source(modules: Iterable[str]) -> str:
    """C source of `wx_inittab`: the dotted name and init function of every extension object."""
    names = sorted(modules)
    lines = ["#include <Python.h>", ""]
    lines += [f"extern PyObject *{init_name(name)}(void);" for name in names]
    lines += ["", "struct _inittab wx_inittab[] = {"]
    lines += [f'    {{"{name}", {init_name(name)}}},' for name in names]
    return "\n".join([*lines, "    {NULL, NULL},", "};", ""])


def link_guest(run: StageRun, recipes: Mapping[str, Recipe], inputs: Mapping[str, Path], toolchain: Toolchain) -> None:
    """Write `guest.wasm` and `modules.json` (names of all built-in modules) to `run.output`.

    Raises:
        StageFailed: our C code does not compile or the link fails.
        BuildError: the module imports what it may not, or lacks an export.
    """
    kinds = ("runtime", "library", "interpreter", "extension")
    by_kind = {kind: [inputs[name] for name, recipe in recipes.items() if recipe.kind == kind] for kind in kinds}
    if len(by_kind["runtime"]) != 1 or len(by_kind["interpreter"]) != 1:
        raise BuildError("an image needs exactly one runtime and one interpreter")
    runtime, interpreter = by_kind["runtime"][0], by_kind["interpreter"][0]
    objects = {path.stem: path for folder in by_kind["extension"] for path in sorted((folder / "objects").glob("*.o"))}
    inittab = run.work / "inittab.c"
    inittab.write_text(inittab_source(objects), encoding="utf-8")
    includes = [f"-I{NATIVE}", f"-I{interpreter / 'include' / 'python3.11'}"]
    sources = [*sorted(NATIVE.glob("*.c")), inittab]
    archives = [
        path
        for folder in (*by_kind["extension"], interpreter, *by_kind["library"])
        for path in sorted((folder / "lib").glob("*.a"))
    ]
    target = run.output / "guest.wasm"
    native = toolchain.compile(_Report(run), sources, run.work / "native", [*_FLAGS, *includes], what="guest C")
    run.report(0, 0, "linking")
    exports = [name for name in EXPORTS if name != "memory"]
    words = toolchain.link(target, [*native, *objects.values(), *archives], runtime, exports=exports)
    with run.log.open("a", encoding="utf-8") as log:
        log.write(words)
    check_module(target.read_bytes())
    builtin = json.loads((interpreter / "modules.json").read_text(encoding="utf-8"))
    (run.output / "modules.json").write_text(json.dumps(sorted({*builtin, *objects, "_wasmexec"})), encoding="utf-8")


def check_module(binary: bytes, without: Iterable[str] = ()) -> None:
    """Refuse a module whose imports or exports are not the agreed ones; exports in `without` may be missing.

    Raises:
        BuildError: naming every import too many and every export that is missing.
    """
    module = Module(binary)
    found = {(item.module, item.name) for item in module.imports()}
    if extra := sorted(f"{m}.{n}" for m, n in found - ALLOWED_IMPORTS):
        raise BuildError(
            f"the guest imports {', '.join(extra)}; allowed are only clocks and randomness of {WASI_MODULE} "
            f"and the host calls of {HOST_MODULE}"
        )
    if missing := sorted(set(EXPORTS) - set(without) - {item.name for item in module.exports()}):
        raise BuildError(f"the guest does not export {', '.join(missing)}")


class _Report:
    """What the compiler helper wants to know of a running stage."""

    def __init__(self, run: StageRun) -> None:
        self._run = run

    @property
    def jobs(self) -> int:
        return self._run.job_budget()

    def progress(self, done: int, total: int, what: str) -> None:
        self._run.processes.check()
        self._run.report(done, total, what)
