"""Writes the C source of a cffi module: `emit.py SCRIPT TARGET`, where SCRIPT leaves an `ffi` with its source set.

Copied beside the packages cffi and pycparser into the output of the recipe `cffi`, and run on the build machine.
"""

import runpy
import sys
import types
from pathlib import Path

VERSION = "1.15.1"


class Described:
    """A C type, as far as writing C goes: it is only passed around."""


def describe(*_: object) -> Described:
    return Described()


class NoCompiler:
    """What is there for those who ask distutils, which not every Python has: C is written here, not compiled."""

    compiler = None
    compiler_type = "unix"

    def parse_config_files(self) -> None:
        pass

    def get_command_obj(self, name: str) -> "NoCompiler":
        return self

    def ensure_finalized(self) -> None:
        pass


def hide_distutils() -> None:
    names: dict[str, dict[str, object]] = {
        "distutils": {},
        "distutils.core": {"Extension": lambda *_, **__: NoCompiler()},
        "distutils.dist": {"Distribution": NoCompiler},
        "distutils.ccompiler": {
            "get_default_compiler": lambda: "none",
            "new_compiler": lambda compiler: NoCompiler(),
        },
        "distutils.command": {},
        "distutils.command.config": {"config": NoCompiler},
    }
    for name, attributes in names.items():
        module = types.ModuleType(name)
        vars(module).update(attributes)
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)


def main(script: str, target: str) -> None:
    # cffi asks its C half for the types it parses. Only a program that uses them needs more than their names.
    backend = types.ModuleType("_cffi_backend")
    attributes = {
        "__version__": VERSION,
        "new_void_type": describe,
        "new_primitive_type": describe,
        "new_pointer_type": describe,
        "new_array_type": describe,
        "cast": describe,
        "buffer": describe,
        "_get_types": lambda: (Described, Described),
    }
    for name, value in attributes.items():
        setattr(backend, name, value)
    sys.modules["_cffi_backend"] = backend
    hide_distutils()
    # Its folder is where SCRIPT finds its own package; this file's is where it finds cffi.
    sys.path.insert(0, str(Path(script).resolve().parent.parent))
    ffi = runpy.run_path(script)["ffi"]
    ffi.emit_c_code(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
