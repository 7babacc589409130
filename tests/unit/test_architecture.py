"""The plan of the house: who may import whom, read from the text of every import, those for types included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOST = ROOT / "host"
FLOORS: tuple[tuple[str, ...], ...] = (
    (
        "isolation",
        "errors",
        "status",
        "determinism",
        "limits",
        "statistics",
        "rows.json_text",
        "_masking",
        "_net",
        "_wall",
    ),
    (
        "schema",
        "rows",
        "recording",
        "replay",
        "result",
        "proxy",
        "grants",
        "secret",
        "image",
        "canned",
        "options",
        "http_calls",
    ),
    ("_finishing", "_guest"),
    ("_hostcalls",),
    ("_execution",),
    ("_replay",),
    ("prepared", "executor"),
    ("store", "workers"),
    ("step",),
    ("fuzzing",),
    ("server",),
    ("client", "pytest_plugin", "cli"),
    ("__main__",),
)
"""From the ground up: a module imports what is on its own floor or below. `wasmexec` itself is the door."""
BUILD_MAY_IMPORT = {"wasmexec._guest.engine", "wasmexec._guest.interface"}


def modules(root: Path, package: str) -> dict[str, Path]:
    """Every module below a folder by its full name."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules(HOST, "wasmexec")
GUEST = modules(ROOT / "guest", "wasmexec_guest")


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """Every module that is imported, wherever in the file, and the name that is taken from it ("" for the module)."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from ((item.name, "") for item in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package.rsplit(".", level - 1)[0] if level else ""
                source = ".".join(filter(None, (base, module)))
                for item in names:
                    inner = f"{source}.{item.name}"
                    yield (inner, "") if inner in known else (source, item.asname or item.name)


def graph(known: dict[str, Path]) -> dict[str, set[str]]:
    return {
        name: {source for source, _ in imports(name, path, known) if source in known and source != name}
        for name, path in known.items()
    }


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Peel off what imports nothing that is left; what cannot be peeled off is in a circle, or above one."""
    left = {name: set(targets) for name, targets in arrows.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    used = set().union(*(targets & left.keys() for targets in left.values())) if left else set()
    return [sorted(used)] if used else []


def floor(module: str) -> int:
    room = module.removeprefix("wasmexec.")
    [level] = [
        level
        for prefix in sorted((p for names in FLOORS for p in names if f"{room}.".startswith(f"{p}.")), key=len)[-1:]
        for level, names in enumerate(FLOORS)
        if prefix in names
    ]
    return level


@pytest.mark.parametrize("known", [MODULES, GUEST], ids=["host", "guest"])
def test_there_is_no_import_circle(known: dict[str, Path]) -> None:
    arrows = graph(known)
    # A package and the modules that it hands out are one thing to its users.
    inner = {name: {t for t in targets if not f"{name}.".startswith(f"{t}.")} for name, targets in arrows.items()}
    assert circles(inner) == []


def test_the_search_for_circles_finds_one() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["b", "c"]]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_arrows_run_one_way() -> None:
    upwards = [
        f"{name} imports {target}"
        for name, targets in graph(MODULES).items()
        for target in targets
        if name != "wasmexec" and target != "wasmexec" and floor(target) > floor(name)
    ]
    assert upwards == []
    assert floor("wasmexec.rows.json_text") < floor("wasmexec.rows.source") < floor("wasmexec.cli.run_command")


def test_reading_a_step_file_knows_nothing_of_running_it() -> None:
    taken = {t for name, targets in graph(MODULES).items() if name.startswith("wasmexec.step.file") for t in targets}
    inside = {target.removeprefix("wasmexec.") for target in taken if target.startswith("wasmexec.step")}
    assert {target for target in inside if not target.startswith("step.file")} == set()
    assert "step.file.schema" in inside


def test_nothing_imports_the_door() -> None:
    assert [name for name, targets in graph(MODULES).items() if "wasmexec" in targets] == []


def test_the_guest_room_imports_nothing_above_it() -> None:
    allowed = ("wasmexec._guest", "wasmexec.errors", "wasmexec.image")
    found = {t for name, targets in graph(MODULES).items() if name.startswith("wasmexec._guest") for t in targets}
    assert {target for target in found if not target.startswith(allowed)} == set()
    assert "wasmexec.errors" in found


def test_nothing_but_executions_and_the_build_knows_the_guest_room() -> None:
    """SECURITY: a server that hosts tenants is given results, never an instance or its memory."""
    rooms = {
        name.split(".")[1]
        for name, targets in graph(MODULES).items()
        if any(target.startswith("wasmexec._guest") for target in targets)
    }
    assert rooms == {"_guest", "_hostcalls", "_execution", "_replay"}


def test_the_build_takes_only_the_engines_configuration_and_its_interface() -> None:
    taken = {
        (path.name if source == "wasmexec" else "", source)
        for path in (ROOT / "wasm-build").rglob("*.py")
        for source, _ in imports("build", path, MODULES)
        if source.split(".")[0] == "wasmexec"
    }
    # A built image is verified as its users will use it: through the door.
    assert taken == {("", source) for source in BUILD_MAY_IMPORT} | {("verify.py", "wasmexec")}


def test_the_guests_own_python_never_imports_the_host() -> None:
    taken = {source.split(".")[0] for name, path in GUEST.items() for source, _ in imports(name, path, GUEST)}
    assert "wasmexec" not in taken
    assert "wasmexec_guest" in taken


def is_private(module: str) -> bool:
    return any(part.startswith("_") and part != "__init__" for part in module.split("."))


def public_annotations(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """What the public functions, methods and fields of a module say of types; how an object is made is its maker's."""

    def of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
        every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        every += [item for item in (function.args.vararg, function.args.kwarg) if item is not None]
        yield from (item.annotation for item in every if item.annotation is not None)
        if function.returns is not None:
            yield function.returns

    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield from ((node.name, annotation) for annotation in of(node))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for item in node.body:
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and not item.name.startswith("_"):
                    yield from ((f"{node.name}.{item.name}", annotation) for annotation in of(item))
                if isinstance(item, ast.AnnAssign) and not ast.unparse(item.target).startswith("_"):
                    yield f"{node.name}.{ast.unparse(item.target)}", item.annotation


def names_in(annotation: ast.expr) -> set[str]:
    found = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    for node in ast.walk(annotation):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= names_in(ast.parse(node.value, mode="eval").body)
    return found


DOOR = ("canned", "determinism", "errors", "executor", "grants", "image", "limits", "options", "prepared", "proxy",
        "recording", "replay", "result", "schema", "secret", "statistics", "status", "step", "store")  # fmt: skip


def test_nothing_public_names_a_private_type() -> None:
    named = []
    for module, path in MODULES.items():
        if is_private(module) or module.partition(".")[2].split(".")[0] not in DOOR:
            continue
        private = {
            name: source for source, name in imports(module, path, MODULES) if source in MODULES and is_private(source)
        }
        for where, annotation in public_annotations(ast.parse(path.read_text("utf-8"))):
            named += [f"{module}.{where}: {name} of {private[name]}" for name in names_in(annotation) & private.keys()]
    assert named == []


def test_no_module_is_longer_than_one_sitting() -> None:
    lengths = sorted(len(path.read_text("utf-8").splitlines()) for path in MODULES.values())
    assert lengths[-1] <= 600
    assert lengths[len(lengths) // 2] < 200
