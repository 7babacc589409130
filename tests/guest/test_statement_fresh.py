"""Every execution draws its own random numbers, and shares nothing with any other."""

from typing import Any

import pytest

from wasmexec import Executor


def value(executor: Executor, statement: str, expression: str) -> Any:
    result = executor.run(f"{statement}\nreturn [{{'v': {expression}}}]")
    result.raise_for_status()
    return result.rows[0]["v"]


MODULES = "import warnings\nmodules = warnings.sys.modules\n"


@pytest.mark.parametrize(
    ("statement", "expression"),
    [
        ("import random", "random.random()"),
        ("import random", "random.gauss(0, 1)"),
        ("import random", "random.SystemRandom().random()"),
        ("import random", "random.sample(range(10**9), 3)"),
        ("import ssl", "ssl.RAND_bytes(16)"),
        ("import numpy", "numpy.random.rand()"),
        ("import numpy", "numpy.random.standard_normal()"),
        ("import numpy", "numpy.random.default_rng().random()"),
        ("import pandas", "pandas.Series(range(1000)).sample(5).tolist()"),
        ("from passlib.hash import sha256_crypt", "sha256_crypt.using(rounds=1000).hash('pw')"),
        ("from passlib.hash import pbkdf2_sha512", "pbkdf2_sha512.using(rounds=1).hash('pw')"),
        (MODULES, "modules['uuid'].uuid4()"),
        (MODULES, "modules['uuid'].uuid1()"),
        (MODULES, "modules['uuid'].getnode()"),
        (MODULES, "modules['os'].urandom(8)"),
        (MODULES, "modules['tempfile'].mktemp()"),
    ],
)
def test_two_executions_never_draw_the_same(executor: Executor, statement: str, expression: str) -> None:
    drawn = [str(value(executor, statement, expression)) for _ in range(4)]
    assert len(set(drawn)) == 4


def test_a_second_draw_in_one_execution_differs_too(executor: Executor) -> None:
    statement = "import random, ssl, numpy"
    for draw in ("random.random()", "ssl.RAND_bytes(8)", "numpy.random.rand()"):
        assert value(executor, statement, f"bool({draw} != {draw})") is True


def test_seeding_gives_the_sequences_of_cpython_and_numpy(executor: Executor) -> None:
    statement = "import random, numpy\nrandom.seed(12345)\nnumpy.random.seed(12345)"
    assert value(executor, statement, "[random.random(), random.gauss(0, 1), random.randrange(10**20)]") == [
        0.41661987254534116, 1.8638879649284623, 52668006349407496514,
    ]  # fmt: skip
    assert value(executor, statement, "[numpy.random.rand(), numpy.random.standard_normal()]") == [
        0.9296160928171479, -0.9678381828411187,
    ]  # fmt: skip


def test_sets_are_iterated_in_the_same_order_in_every_execution(executor: Executor) -> None:
    expression = "list({'one', 'two', 'three', 'four', 'five'})"
    assert value(executor, "", expression) == value(executor, "", expression)


def test_clocks_are_those_of_the_moment(executor: Executor) -> None:
    import time

    before = time.time()
    seen = value(executor, "import time, datetime", "[time.time(), datetime.datetime.now().timestamp()]")
    after = time.time()
    assert before <= seen[0] <= seen[1] <= after


def test_nothing_that_one_execution_changes_is_seen_by_the_next(executor: Executor) -> None:
    change = """
import warnings, random, json, datetime, time
sys = warnings.sys
sys.modules["builtins"].abs = None
sys.modules["os"].environ["LEAK"] = "1"
sys.modules["decimal"].getcontext().prec = 3
sys.setrecursionlimit(200)
warnings.simplefilter("error")
json.dumps = None
open("/tmp/leak", "w").close()
sys.modules["linecache"].cache["leak"] = 1
return []
"""
    look = """
import warnings, json
sys = warnings.sys
return [{
    "abs": abs(-1), "env": "LEAK" in sys.modules["os"].environ, "prec": sys.modules["decimal"].getcontext().prec,
    "limit": sys.getrecursionlimit(), "filters": [f[0] for f in warnings.filters], "dumps": json.dumps(1),
    "tmp": sys.modules["os"].listdir("/tmp"), "cache": sorted(sys.modules["linecache"].cache),
}]
"""
    executor.run(change).raise_for_status()
    assert executor.run(look).rows == [{
        "abs": 1, "env": False, "prec": 28, "limit": 1000,
        "filters": ["default", "ignore", "ignore", "ignore", "ignore"], "dumps": "1", "tmp": [],
        "cache": ["<statement>"],
    }]  # fmt: skip


def test_a_fresh_guest_shows_no_trace_of_how_it_was_made(executor: Executor) -> None:
    statement = """
import warnings
sys = warnings.sys
logging, asyncio = sys.modules["logging"], sys.modules["asyncio"]
return [{
    "argv": sys.argv,
    "path": sys.path,
    "handlers": len(logging.root.handlers),
    "level": logging.root.level,
    "tasks": len(asyncio.all_tasks()),
    "warmup": [name for name in sys.modules if "warmup_" in name],
    "flags": [bool(flag) for flag in sys.modules["decimal"].getcontext().flags.values() if flag],
    "cwd": sys.modules["os"].getcwd(),
}]
"""
    assert executor.run(statement).rows == [{
        "argv": [""],
        "path": ["/lib/python3.11", "/lib/site-packages", "/lib/wasmexec", "/lib/wasmexec/wasmexec_guest/shims"],
        "handlers": 0, "level": 30, "tasks": 1, "warmup": [], "flags": [], "cwd": "/",
    }]  # fmt: skip
