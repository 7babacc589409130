"""Runs numpy's own source generators on its unpacked source: `generate.py SOURCE GENERATED`.

Repeated-code templates (.src) become files beside them; the C API's sources and headers go to the folder GENERATED.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

# Generators of tests and of the SIMD self-test, which are not built.
SKIPPED = {"_umath_tests.c.src", "_simd.dispatch.c.src", "_simd_data.inc.src", "_simd_inc.h.src"}


def load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None, file
    assert spec.loader is not None, file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(source: Path, generated: Path) -> None:
    core = source / "numpy" / "core"
    process = load(source / "numpy" / "distutils" / "conv_template.py").process_file
    for template in sorted((core / "src").rglob("*.src")):
        if template.name not in SKIPPED:
            template.with_suffix("").write_text(process(str(template)), encoding="utf-8")

    generators = core / "code_generators"
    sys.path.insert(0, str(generators))
    generated.mkdir(parents=True, exist_ok=True)
    for name in ("generate_numpy_api", "generate_ufunc_api"):
        # Unless forced it compares file times with a part of distutils that Debian's Python comes without.
        load(generators / f"{name}.py").generate_api(str(generated), force=True)
    umath = load(generators / "generate_umath.py")
    code = umath.make_code(umath.defdict, "generate_umath.py")
    (generated / "__umath_generated.c").write_text(code, encoding="utf-8")
    load(generators / "generate_umath_doc.py").write_code(str(generated / "_umath_doc_generated.h"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
