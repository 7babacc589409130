"""The check of OpenSSL's arithmetic passes for the built library, and fails when one function computes wrongly."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wasmbuild.cache import default_cache
from wasmbuild.graph import Graph
from wasmbuild.plan import load_catalogue, recipe_stages, toolchain_in
from wasmbuild.progress import SilentProgress

RECIPE = Path(__file__).parents[2] / "wasm-build" / "recipes" / "openssl"
# Wrong for one product in 251.
WRONG_MUL = """
#include <openssl/bn.h>
int wrong_mul(BIGNUM *r, const BIGNUM *a, const BIGNUM *b, BN_CTX *c) {
    int done = BN_mul(r, a, b, c);
    return BN_mod_word(r, 251) == 7 ? BN_add_word(r, 1) : done;
}
"""
WRONG_POINT = """
#include <openssl/ec.h>
int wrong_point(const EC_GROUP *g, EC_POINT *r, const BIGNUM *n, const EC_POINT *q, const BIGNUM *m, BN_CTX *c) {
    int done = EC_POINT_mul(g, r, n, q, m, c);
    return n && m ? EC_POINT_dbl(g, r, r, c) : done;
}
"""
Check = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def check(tools_folder: Path, tmp_path: Path) -> Check:
    """Runs the recipe's check with some OpenSSL functions replaced by wrong ones."""
    cache = default_cache()
    graph = Graph(recipe_stages(load_catalogue(), ["openssl"], cache), cache)
    if not graph.is_done("openssl"):
        with cache.lock():
            graph.run(["openssl"], SilentProgress())
    toolchain = toolchain_in(tools_folder, cache)
    openssl, runtime = graph.folder("openssl"), graph.folder("runtime")

    def run(program: str = "", **replaced: str) -> "subprocess.CompletedProcess[str]":
        include = f"-I{openssl / 'include'}"
        source = tmp_path / "wrong.c"
        source.write_text(program, encoding="utf-8")
        renames = [f"-D{name}={other}" for name, other in replaced.items()]
        objects = [
            toolchain.compile_one(RECIPE / "arithmetic.c", tmp_path / "arithmetic.o", [include, *renames]),
            toolchain.compile_one(source, tmp_path / "wrong.o", [include, "-Wno-deprecated-declarations"]),
        ]
        toolchain.link(tmp_path / "check.wasm", [*objects, openssl / "lib" / "libcrypto.a"], runtime)
        argv: list[str | Path] = [sys.executable, RECIPE / "arithmetic.py", tmp_path / "check.wasm"]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)

    return run


def test_the_built_library_computes_what_python_computes(check: Check) -> None:
    done = check()
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 differences\n", "")


@pytest.mark.parametrize(
    ("program", "replaced", "message"),
    [
        (WRONG_MUL, {"BN_mul": "wrong_mul"}, "OpenSSL's arithmetic is not Python's: mul(0x"),
        (WRONG_POINT, {"EC_POINT_mul": "wrong_point"}, "OpenSSL's arithmetic is not Python's: P-224 kG + jkG: k = 0x"),
    ],
)
def test_a_wrong_result_fails_the_build(check: Check, program: str, replaced: dict[str, str], message: str) -> None:
    done = check(program, **replaced)
    assert done.returncode == 1
    assert message in done.stderr
