"""The stand-in has the interface that guest/_wasmexec.pyi describes and guest/native/module.c provides."""

from __future__ import annotations

import ast
import re

import pytest
from tests.guest_unit import stand_in
from tests.reading import read


def functions(text: str) -> dict[str, str]:
    """Every public function of a module with its parameters and result as text."""
    return {
        node.name: f"{ast.unparse(node.args)} -> {ast.unparse(node.returns)}"
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.returns is not None
    }


def classes(text: str) -> dict[str, set[str]]:
    """Every exception class with the fields that it declares or sets."""
    found = {}
    for node in ast.parse(text).body:
        if (
            isinstance(node, ast.ClassDef)
            and ast.unparse(node.bases[0] if node.bases else ast.Constant(0)) == "Exception"
        ):
            targets = [item.target for item in ast.walk(node) if isinstance(item, ast.AnnAssign)]
            found[node.name] = {ast.unparse(target).removeprefix("self.") for target in targets}
    return found


def test_the_stand_in_has_the_functions_of_the_interface() -> None:
    interface = functions(read("guest/_wasmexec.pyi"))
    own = functions(read("tests/guest_unit/stand_in.py"))
    assert {name: own.get(name) for name in interface} == interface


def test_the_stand_in_has_the_exceptions_of_the_interface() -> None:
    assert classes(read("tests/guest_unit/stand_in.py")) == classes(read("guest/_wasmexec.pyi"))
    assert set(classes(read("guest/_wasmexec.pyi"))) == {"EncodeError", "OutputTooLarge"}


def test_the_interface_is_what_the_c_module_provides() -> None:
    source = read("guest/native/module.c")
    table = re.search(r"PyMethodDef methods\[\] = \{(.*?)\n\};", source, re.DOTALL)
    assert table is not None
    assert set(re.findall(r'\{"(\w+)",', table[1])) == functions(read("guest/_wasmexec.pyi")).keys()
    assert (
        set(re.findall(r'PyModule_AddObjectRef\(module, "(\w+)"', source))
        == classes(read("guest/_wasmexec.pyi")).keys()
    )


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\1\0\0\0", b"\xff\xff\xff\xff{}"])
def test_a_frame_that_is_none_is_refused_with_the_words_of_the_c_code(data: bytes) -> None:
    with pytest.raises(ValueError, match="frame") as caught:
        stand_in.split(data)
    assert f'"{caught.value}"' in read("guest/native/frames.c")
