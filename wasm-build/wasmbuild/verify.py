"""Checks a built image: imports and exports, modules, a smoke run of each recipe, and the sweep over C code.

Everything in the guest runs through the host's public `Executor`, each part in a fresh instance.
"""

import concurrent.futures
import dataclasses
import json
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import wasmexec
from wasmbuild.errors import BuildError
from wasmbuild.link import check_module
from wasmbuild.snapshot import BUILD_EXPORTS

OnStep = Callable[[str, int, int], None]
_SWEEP = Path(__file__).parent / "guestside" / "sweep.py"
_CRASHES = Path(__file__).parent / "guestside" / "crashes.toml"
# More traps than this in one module, and it is broken as a whole.
_MOST_TRAPS = 25

# The gate binds the statement's own frames, so code run with the real builtins is as free as a library.
_PRELUDE = """
import warnings
sys = warnings.sys
builtins = sys.modules["builtins"]
space = {"__builtins__": builtins, "__name__": "wasmexec_verify"}
def load(source, name):
    builtins.exec(builtins.compile(source, name, "exec"), space)
job = INPUT_DATA[0]
"""
_MODULES = """
import json
image = json.loads(open("/wasmexec/image.json").read())
problems = {}
for name in job["modules"]:
    try:
        builtins.__import__(name)
    except BaseException as error:
        problems[name] = repr(error)
return [{"image": image, "problems": problems}]
"""
_SMOKE = """
path = "/wasmexec/smoke/" + job["recipe"] + ".py"
with open(path) as file:
    load(file.read(), path)
return [{"ok": True}]
"""
_GROUPS = """
load(job["sweep"], "/sweep.py")
return [{"groups": space["groups"]()}]
"""
_SWEEP_GROUP = """
load(job["sweep"], "/sweep.py")
targets, left_out = space["sweep"](job["group"], job["skip"], log.debug)
return [{"targets": targets, "left_out": left_out}]
"""
_LIMITS = wasmexec.Limits(
    wall_seconds=180, cpu_seconds=60, memory_bytes=2 << 30, log_bytes=256 << 20, log_records=5_000_000
)


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an image.

    Attributes:
        step: interface, modules, smoke or sweep.
        subject: the import, module, recipe or C target.
        details: more lines, such as a traceback; may be empty.
    """

    step: str
    subject: str
    message: str
    details: str = ""


@dataclasses.dataclass(slots=True)
class SweepCount:
    """How much a sweep touched."""

    groups: int = 0
    targets: int = 0


def verify_image(
    *,
    manifest_file: Path,
    wasm: Path,
    smoke: Iterable[str],
    needs_smoke: Iterable[str],
    expected_modules: Iterable[str],
    on_step: OnStep,
    jobs: int,
) -> list[Finding]:
    """Run every check; an empty list means that the image is fine."""
    findings = check_interface(wasm)
    on_step("interface", 1, 1)
    smoke = list(smoke)
    findings += [Finding("smoke", name, "the recipe has no smoke.py") for name in needs_smoke if name not in smoke]
    with wasmexec.Executor(manifest_file, workers=jobs) as executor:
        findings += check_modules(executor, list(expected_modules))
        on_step("modules", 1, 1)
        findings += run_smoke(executor, smoke, on_step)
        found, _ = run_sweep(executor, on_step, jobs)
        findings += found
    return findings


def check_interface(wasm: Path) -> list[Finding]:
    """Imports and exports of the snapshot."""
    if not wasm.exists():
        return [Finding("interface", wasm.name, "the snapshot is not in the cache; build the image again")]
    try:
        check_module(wasm.read_bytes(), without=BUILD_EXPORTS)
    except BuildError as error:
        return [Finding("interface", "module", str(error))]
    return []


def check_modules(executor: wasmexec.Executor, expected: list[str]) -> list[Finding]:
    """Every module that a recipe promises is listed in the image and can be imported."""
    row, failure = _run(executor, _MODULES, {"modules": expected})
    if row is None:
        return [Finding("modules", "list", *failure)]
    listed = set(row["image"]["modules"])
    findings = [
        Finding("modules", name, "a recipe promises it, and image.json does not list it")
        for name in expected
        if name.split(".")[0] not in listed
    ]
    return findings + [Finding("modules", name, f"cannot be imported: {why}") for name, why in row["problems"].items()]


def run_smoke(executor: wasmexec.Executor, recipes: list[str], on_step: OnStep) -> list[Finding]:
    """Run each recipe's smoke.py."""
    findings = []
    for number, recipe in enumerate(recipes, 1):
        row, failure = _run(executor, _SMOKE, {"recipe": recipe})
        if row is None:
            findings.append(Finding("smoke", recipe, *failure))
        on_step("smoke", number, len(recipes))
    return findings


def known_crashes() -> dict[str, list[str]]:
    """By module: targets that the sweep leaves out, because they end native CPython as well."""
    tables = tomllib.loads(_CRASHES.read_text(encoding="utf-8"))
    return {group: [f"{group}.{name}" for name in names] for group, names in tables.items()}


def run_sweep(
    executor: wasmexec.Executor, on_step: OnStep, jobs: int, *, only: Iterable[str] = ()
) -> tuple[list[Finding], SweepCount]:
    """Sweep every module with C code, or those in `only`; where a guest died, the sweep goes on behind that target.

    A known crash that is not there any more is a finding, too.
    """
    source = _SWEEP.read_text(encoding="utf-8")
    groups = list(only)
    if not groups:
        row, failure = _run(executor, _GROUPS, {"sweep": source})
        if row is None:
            return [Finding("sweep", "groups", *failure)], SweepCount()
        groups = row["groups"]
    crashes = known_crashes()
    findings: list[Finding] = []
    count = SweepCount(groups=len(groups))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_sweep_group, executor, group, source, crashes.get(group, [])) for group in groups]
        for number, future in enumerate(concurrent.futures.as_completed(waiting), 1):
            found, targets = future.result()
            findings += found
            count.targets += targets
            on_step("sweep", number, len(groups))
    return sorted(findings, key=lambda finding: finding.subject), count


def _sweep_group(executor: wasmexec.Executor, group: str, source: str, crashes: list[str]) -> tuple[list[Finding], int]:
    findings: list[Finding] = []
    skip = list(crashes)
    while True:
        job = {"sweep": source, "group": group, "skip": skip}
        result = executor.run(_PRELUDE + _SWEEP_GROUP, input_data=[job], limits=_LIMITS)
        if result.status.succeeded:
            gone = sorted(set(crashes) - set(result.rows[0]["left_out"]))
            findings += [Finding("sweep", name, f"is listed in {_CRASHES.name} and does not exist") for name in gone]
            return findings, int(result.rows[0]["targets"])
        last = next((record.message for record in reversed(result.logs) if record.level == "debug"), None)
        if last is None or last in skip or len(findings) >= _MOST_TRAPS:
            return [*findings, Finding("sweep", group, *_why(result))], 0
        skip.append(last)
        findings.append(Finding("sweep", last, *_why(result)))


def _run(
    executor: wasmexec.Executor, statement: str, row: dict[str, Any]
) -> tuple[dict[str, Any] | None, tuple[str, str]]:
    result = executor.run(_PRELUDE + statement, input_data=[row], limits=_LIMITS)
    if result.status.succeeded and result.rows:
        return result.rows[0], ("", "")
    return None, _why(result)


def _why(result: wasmexec.Result) -> tuple[str, str]:
    error = result.error
    if error is None:
        return f"ended with status {int(result.status)} and no rows", ""
    details = getattr(error, "traceback", "") or json.dumps(error.fields(), default=str)
    return f"{type(error).__name__}: {error}", str(details)
