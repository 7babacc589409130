"""A statement that is run again is not compiled again, and nobody can tell: neither it nor who runs it."""

from __future__ import annotations

from typing import Any

import pytest

import wasmexec
from wasmexec import Deterministic, Limits, Status
from wasmexec._guest.codes import CodeCache

RUNS = 4
"""The first sends the text, the second has it compiled, all others find its code."""


@pytest.fixture
def codes(executor: wasmexec.Executor) -> CodeCache:
    """The codes that the image's executors share."""
    return executor._launcher.services.guest.codes


def told(result: wasmexec.Result) -> dict[str, Any]:
    """All that is told of an execution but how long it took and when."""
    fields: dict[str, Any] = result.as_dict()
    del fields["usage"]
    for record in fields["logs"]:
        del record["time"]
    return fields


STATEMENTS = {
    "rows": "total = sum(row['n'] for row in INPUT_DATA)\nreturn [{'total': total, 'more': DATA_CHECKPOINT}]",
    "raised": "def f(x):\n    return 1 / x\n\n\nlog.info('before')\nreturn [{'a': f(1)}, {'a': f(0)}]",
    "raised far down": "\n" * 500 + "import json\n\nvalue = json.loads('[1,')  # the line\nreturn []",
    "chained": "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('no a') from error",
    "group": "raise ExceptionGroup('two', [ValueError('one'), TypeError('other')])",
    "name": "lenght = 1\nreturn [{'a': length}]",
    "not ASCII": "grüße = 'żółć 🎉'\nreturn [{'größe': grüße, 'x': 1 / 0}]",
    "form feed and other line ends": "a = 1\n\x0cb = 2\r\nc = 3\rd = '\x1c'\nreturn [{'x': a + b + c + d}]",
    "byte order mark": "\ufeffreturn [{'a': 1}]",
    "syntax": "a = 1\nreturn [{'a': 1]\n",
    "indentation": "if True:\nreturn []",
    "type hint": "def f(x: int):\n    return x\nreturn []",
    "yield": "yield 1",
    "compiler": "nonlocal x\nreturn []",
    "null byte": "a = '\0'",
    "import": "import os\nreturn []",
    "no return": "a = 1",
    "warned by the compiler": "x = 1\nif x is 1:\n    log.info('is')\nassert (x, 'always')\nreturn [{'a': '\\d'}]",
    "warned at run time": "import warnings\nwarnings.warn('twice')\nwarnings.warn('twice')\nreturn []",
    "awaits": "async def later(n):\n    await sleep(0.001)\n    return n\n\nreturn [{'n': await later(3)}]",
    "sets and frozen constants": "return [{'a': list({'x', 'y', 'z'}),\n'b': 'q' in {'q', 'r'}, 'c': len((1, 3j))}]",
    "docstrings and closures": """
def outer():
    'Says.'
    n = 1
    class A:
        'Inner.'
        def f(self):
            nonlocal n
            n += 1
            return A.__doc__, n, type(self).__qualname__
    return A().f()
return [{'a': list(outer()), 'doc': outer.__doc__, 'line': outer.__code__.co_firstlineno}]
""",
    "deep": "return [{'a': " + "(" * 150 + "1" + ")" * 150 + "}]",
    "too deep": "return [{'a': " + "-" * 5000 + "1}]",
    "its own lines": "from warnings import linecache\nreturn [{'lines': linecache.getlines('<statement>')}]",
    "its own frame": "import warnings\nf = warnings.sys._getframe()\nreturn [{'n': f.f_code.co_name, 'l': f.f_lineno}]",
    "identity of constants": "def f():\n    return 'some text', (1, 2)\ndef g():\n    return 'some text', (1, 2)\n"
    "return [{'a': f()[0] is f()[0], 'b': f()[1] is f()[1], 'c': 'name' is f.__name__ or True}]",
}  # fmt: skip


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_run_of_a_statement_tells_the_same(name: str, executor: wasmexec.Executor, codes: CodeCache) -> None:
    statement = f"{STATEMENTS[name]}\n#{name}"
    results = [told(executor.run(statement, input_data=[{"n": 1}, {"n": 2}])) for _ in range(RUNS)]
    assert results[1:] == results[:1] * (RUNS - 1)
    # The claim is about kept code only if there is some: a refusal is kept, too.
    if name != "null byte":
        assert codes.find(statement, at_once=False) is not None
        assert not isinstance(codes.find(statement, at_once=False), str)


def test_what_check_says_stays_the_same(executor: wasmexec.Executor) -> None:
    statement = "import os\nx = 1\nif x is 1:\n    pass\n#check"
    before = executor.check(statement)
    for _ in range(RUNS):
        executor.run(statement)
    assert executor.check(statement) == before
    assert [problem.rule for problem in before] == ["import", "return"]


HOSTILE = """
import warnings
sys = warnings.sys
load = sys.modules["builtins"].__import__
found = INPUT_DATA[0]["attack"]
if found:
    guest = "wasmexec_guest"
    marshal = load("marshal")
    for name in ("dumps", "loads"):
        setattr(marshal, name, lambda *a: 1 / 0)
    for part in ("statement", "service", "execution", "errors", "rows", "logs"):
        module = sys.modules[f"{guest}.{part}"]
        for name in list(vars(module)):
            if name != "errors" and callable(getattr(module, name)):
                setattr(module, name, None)
    sys.modules["builtins"].compile = None
    own = sys._getframe().f_code
    for thing in load("gc").get_referents(own):
        if isinstance(thing, (list, dict)):
            thing.clear()
    load("linecache").cache.clear()
    channel = load("_wasmexec")
    forged = '{"kind":"done","outcome":"compiled","code":[0,4]}'
    channel.put_outbox(forged, b"evil")
    os_ = sys.modules.get("posix") or load("os")
    os_._exit(0)
return [{"attack": found, "answer": 6 * 7}]
"""


def test_a_hostile_run_leaves_the_next_run_of_the_same_text_untouched(executor: wasmexec.Executor) -> None:
    def run(attack: bool) -> wasmexec.Result:
        return executor.run(HOSTILE, input_data=[{"attack": attack}])

    for _ in range(RUNS):
        # The control: the attack did run, to its end.
        assert run(True).status == Status.RUNTIME_FAILED
        assert run(False).rows == [{"attack": False, "answer": 42}]


def test_a_forged_answer_of_a_running_statement_is_no_code(executor: wasmexec.Executor, codes: CodeCache) -> None:
    statement = """
import warnings
load = warnings.sys.modules["builtins"].__import__
service = warnings.sys.modules["wasmexec_guest.service"]
frame = (3, {"kind": "done", "outcome": "compiled", "code": [0, 4]}, b"evil")
service.serve = lambda *a: frame
warnings.sys.modules["wasmexec_guest.execution"].Execution._finish = lambda self: frame
return []
"""
    for _ in range(RUNS):
        result = executor.run(statement)
        assert result.status == Status.RUNTIME_FAILED
        assert "without the outcome that was asked for" in str(result.error)
    known = codes.find(statement, at_once=False)
    assert isinstance(known, bytes)
    assert b"evil" not in known[:4]


def test_one_tenants_lack_of_memory_is_not_kept_as_a_refusal_for_others(executor: wasmexec.Executor) -> None:
    statement = "return [" + "{'a': [" + "1, 'text', 2.5, " * 60_000 + "]}]"
    tight = Limits(memory_bytes=executor.image.memory_bytes + (2 << 20))
    refused = [executor.run(statement, limits=tight) for _ in range(RUNS)]
    assert not any(result.status.succeeded for result in refused)
    result = executor.run(statement)
    assert result.error is None
    assert len(result.rows[0]["a"]) == 180_000


def test_a_secret_that_one_run_masks_is_not_masked_in_the_next(executor: wasmexec.Executor) -> None:
    statement = "value = 'hunter22' oops\n# masks"
    for _ in range(2):
        masked = executor.run(statement, secrets={"KEY": "hunter22"})
        assert masked.status == Status.CONFIG_REFUSED
        assert "hunter22" not in str(masked.as_dict())
        plain = executor.run(statement)
        assert isinstance(plain.error, wasmexec.StatementSyntaxError)
        assert plain.error.text == "value = 'hunter22' oops"


KEY = "hunter22-" + "abcdefghij" * 5

REFUSED_WITH_A_SECRET = {
    "a syntax error": "value = 'KEY' oops",
    "a line that is cut": "value = '" + "x" * 470 + "KEY' oops",
    "a type hint whose target is cut": "x['" + "y" * 70 + "KEY']: int = 3\nreturn []",
}
"""KEY stands for the secret."""


@pytest.mark.parametrize("name", REFUSED_WITH_A_SECRET)
def test_no_refusal_that_is_kept_shows_a_piece_of_a_secret(name: str, executor: wasmexec.Executor) -> None:
    statement = REFUSED_WITH_A_SECRET[name].replace("KEY", KEY)
    plain = executor.run(statement)
    secrets = {"KEY": KEY}
    prepared = executor.prepare(statement, secrets=secrets)
    results = [executor.run(statement, secrets=secrets) for _ in range(RUNS)]
    results += [prepared.run() for _ in range(2)]
    results.append(executor.run(statement, secrets=secrets, determinism=Deterministic(seed=1)))
    assert isinstance(prepared.refusal, wasmexec.StatementSyntaxError)
    assert KEY[:8] not in str(vars(prepared.refusal)) + str(prepared.refusal)
    for result in results:
        assert result.status == Status.CONFIG_REFUSED
        assert KEY[:8] not in str(result.as_dict())
        assert told(result) == told(results[0])
    # The control: without the secret it is shown.
    assert KEY[:8] in str(plain.as_dict())


def test_seeded_runs_are_the_same_bytes_whether_the_code_was_known(executor: wasmexec.Executor) -> None:
    # Where objects lie shows in their repr, and must not depend on who compiled what before.
    statement = "class A:\n    pass\nlog.info(repr(A()))\nreturn [{'a': repr(A()), 'b': id(A)}]\n# seeded"
    seeded = Deterministic(seed=3)
    runs = [executor.run(statement, determinism=seeded)]
    for _ in range(RUNS):
        executor.run(statement)
    runs += [executor.run(statement, determinism=seeded) for _ in range(2)]
    with wasmexec.Executor(executor.image.manifest) as other:
        runs.append(other.run(statement, determinism=seeded))
    assert len({str(result.as_dict()["rows"]) + str(result.as_dict()["logs"]) for result in runs}) == 1
    assert "object at 0x" in runs[0].rows[0]["a"]


def test_a_statement_that_takes_all_its_time_to_compile_ends_like_any_other(executor: wasmexec.Executor) -> None:
    slow = "return [{'a': (" + " + ".join(f"x{number}" for number in range(200_000)) + ")}]"
    for _ in range(3):
        result = executor.run(slow, limits=Limits(cpu_seconds=0.05))
        assert result.status == Status.TIMED_OUT
    assert executor.run("return [{'a': 1}]").rows == [{"a": 1}]
