"""The functions that cffi modules offer are no part of a Python module, so the sweep of the image passes them by."""

import wasmexec

# Names that OpenSSL was built without are left out by cryptography itself; `log.debug` says which call was the last.
STATEMENT = """
import warnings
modules = warnings.sys.modules
binding = modules["cryptography.hazmat.bindings.openssl.binding"].Binding
libraries = {
    "openssl": binding.lib,
    "padding": modules["cryptography.hazmat.bindings._padding"].lib,
    "bcrypt": modules["bcrypt._bcrypt"].lib,
    "argon2": modules["_argon2_cffi_bindings._ffi"].lib,
}
ARGUMENTS = ((), (None,), (None, None), (None,) * 3, (None,) * 25, (0,), (0, 0), ("x",), (1.5,))
found = []
for library, lib in libraries.items():
    calls = 0
    for name in dir(lib):
        function = getattr(lib, name)
        if name.startswith("_") or not callable(function):
            continue
        for arguments in ARGUMENTS:
            calls += 1
            log.debug(f"{library}.{name}{arguments}")
            try:
                function(*arguments)
            except Exception:
                pass
    found.append({"library": library, "calls": calls})
return found
"""
LIMITS = wasmexec.Limits(wall_seconds=120, cpu_seconds=60, log_bytes=64 << 20, log_records=100_000)


def test_no_function_of_a_cffi_module_traps(executor: wasmexec.Executor) -> None:
    result = executor.run(STATEMENT, limits=LIMITS)
    assert result.error is None, (result.error, result.logs[-1].message if result.logs else "")
    calls = {row["library"]: row["calls"] for row in result.rows}
    assert calls["openssl"] > 5000
    assert min(calls.values()) >= 9
