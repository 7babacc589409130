"""TypeScript types of the API: a real compiler takes a program that uses them, and refuses what is wrong in it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wasmexec.server.openapi.typescript import typescript_of

HERE = Path(__file__).parent / "typescript"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TypeScript's compiler, as `package-lock.json` has it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("node and npm are not there: the types are not compiled")
    version = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = ROOT / "build" / f"typescript-{version}"
    if not (folder / "ready").exists():
        fresh = tmp_path_factory.mktemp("typescript")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, fresh)
        subprocess.run([npm, "ci", "--ignore-scripts", "--silent"], cwd=fresh, check=True, timeout=300)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(fresh, folder)
        (folder / "ready").touch()
    return folder / "node_modules" / "typescript" / "bin" / "tsc"


def test_the_types_that_are_printed_compile_and_refuse_what_is_wrong(compiler: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wasmexec", "serve", "describe", "typescript"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    shutil.copy(HERE / "usage.ts", tmp_path)

    def compiled(types: str) -> tuple[int, str]:
        (tmp_path / "api.d.ts").write_text(types)
        arguments = [
            "--strict",
            "--noEmit",
            "--target",
            "es2022",
            "--module",
            "esnext",
            "--moduleResolution",
            "bundler",
        ]
        done = subprocess.run(
            ["node", compiler, *arguments, "usage.ts"], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    assert compiled(printed) == (0, "")
    # The control: with other types the same program is refused.
    code, complaints = compiled(printed.replace("  statement: string;\n", "  statement: number;\n"))
    assert code != 0
    assert "Type 'string' is not assignable to type 'number'" in complaints


def test_each_kind_of_schema_becomes_its_type() -> None:
    schemas = {
        "A.b": {
            "type": "object", "description": "Ends with */ and goes\n\non.", "required": ["a-b"],
            "properties": {
                "a-b": {"type": ["string", "null"]},
                "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {}]},
                "many": {"type": "array", "items": {"anyOf": [{"const": 1}, {"enum": ["x", "y"]}]}},
                "map": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/A.b"}},
                "any": {"description": "Anything."},
            },
        },
    }  # fmt: skip
    document = {"info": {"title": "t", "version": "1"}, "paths": {}, "components": {"schemas": schemas}}
    text = typescript_of(document)
    assert "\n".join(text.splitlines()[5:22]) == (
        "/**\n * Ends with * / and goes\n *\n * on.\n */\nexport interface A_b {\n"
        '  "a-b": string | null;\n  pair?: [number, Json];\n  many?: (1 | "x" | "y")[];\n'
        "  map?: { [name: string]: A_b };\n  /** Anything. */\n  any?: Json;\n}\n\n"
        "/** Every operation: what it is asked with, and what it answers. */\nexport interface Operations {\n}"
    )
