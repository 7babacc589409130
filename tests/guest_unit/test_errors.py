"""errors.py: texts are cut to their bounds, every chain ends, and no class of a statement gets in the way."""

from __future__ import annotations

import linecache
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec_guest import errors, statement, texts


@given(st.text(max_size=400), st.integers(3, 300))
def test_a_text_within_the_limit_stays_and_a_longer_one_keeps_both_ends(text: str, limit: int) -> None:
    short = texts.shorten(text, limit)
    if len(text) <= limit:
        assert short == text
        return
    head, tail = limit * 2 // 3, limit // 3
    assert short.startswith(text[:head])
    assert short.endswith(text[-tail:])
    assert f"({len(text) - head - tail} characters left out)" in short
    assert len(short) <= limit + 60


def raised(text: str, **names: object) -> BaseException:
    """What a statement without `await` raises."""
    function = types.FunctionType(statement.compile_statement(text), {"__builtins__": __builtins__, **names})
    try:
        function().send(None)
    except StopIteration:
        raise AssertionError("the statement raised nothing") from None
    except BaseException as error:
        return error
    raise AssertionError("the statement waits")


def described(text: str, **names: object) -> dict[str, Any]:
    # linecache has to know the lines; `install` would do it for good.
    linecache.cache[errors.FILENAME] = (0, None, errors._source_lines, errors.FILENAME)
    return errors.describe(raised(text, **names))


def test_an_exception_is_told_with_its_lines_and_carets() -> None:
    record = described("def half(x):\n    return x / 0\n\ntotal = 1 + half(2)\n")
    assert (record["kind"], record["type"], record["message"], record["line"]) == (
        "raised", "ZeroDivisionError", "division by zero", 2,
    )  # fmt: skip
    assert record["traceback"] == (
        "Traceback (most recent call last):\n"
        '  File "<statement>", line 4, in <statement>\n'
        "    total = 1 + half(2)\n"
        "                ^^^^^^^\n"
        '  File "<statement>", line 2, in half\n'
        "    return x / 0\n"
        "           ~~^~~\n"
        "ZeroDivisionError: division by zero\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E",
        "class E(Exception):\n    def __str__(self): return 1\nraise E",
        "class M(type):\n    __module__ = property(lambda s: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E",
        "class E(Exception):\n    __cause__ = property(lambda s: 1 / 0)\nraise E",
        "class E(Exception):\n    def __getattribute__(self, name): raise KeyError(name)\nraise E",
        "class E(Exception):\n    __class__ = property(lambda s: 1 / 0)\nraise E",
        "class E(Exception):\n    __traceback__ = property(lambda s: 1 / 0)\nraise E",
        "class E(Exception):\n    __context__ = 5\nraise E",
        "class E(Exception):\n    __class__ = MemoryError\nraise E",
        "class E(Exception):\n    def __setattr__(self, *a): raise KeyError\nraise E",
        "class E(ExceptionGroup):\n    exceptions = property(lambda s: 1 / 0)\nraise E('g', [ValueError()])",
        "class E(Exception):\n    __dict__ = __slots__ = ()\nraise E from E()",
        "class E(NameError):\n    name = property(lambda s: 1 / 0)\nraise E",
        "class O:\n    def __dir__(self): return [1, None, 'abd']\nraise AttributeError(name='abc', obj=O())",
        "raise ExceptionGroup('g', [ValueError('x'), ExceptionGroup('h', [KeyError(1)])])",
        "raise BaseExceptionGroup('g', [KeyboardInterrupt()])",
        "raise SyntaxError('x', ('f', 1, -5, None))",
        "raise SyntaxError('x', ('f', 10**9, 10**9, 'text'))",
        "raise UnicodeDecodeError('utf-8', b'x', 5, 9, 'r')",
        "exec('(')",
        "raise KeyError('a' * 10**6)",
        "class E(Exception): pass\nE.__qualname__ = 'x' * 10**5\nraise E",
        "raise Exception('\\ud800')",
    ],
)
def test_whatever_a_statement_raises_has_a_record_within_its_bounds(text: str) -> None:
    record = described(text)
    assert record["line"] is None or 1 <= record["line"] <= text.count("\n") + 1
    for field, limit in {
        "type": 256,
        "message": errors.MAX_MESSAGE_CHARS,
        "traceback": errors.MAX_TRACEBACK_CHARS,
    }.items():
        assert isinstance(record[field], str)
        assert len(record[field]) <= limit + 60
    assert record["type"]
    assert __file__ not in record["traceback"]


def test_no_frame_but_the_statements_is_shown_even_of_what_led_to_it() -> None:
    def inside() -> None:
        try:
            dict[str, int]()["secret frame"]
        except KeyError:
            raise RuntimeError("library") from None

    def outside() -> None:
        try:
            inside()
        except RuntimeError as error:
            raise ValueError("chained") from error

    record = described("call()", call=outside)
    assert "RuntimeError: library" in record["traceback"]
    assert "ValueError: chained" in record["traceback"]
    assert __file__ not in record["traceback"]
    assert "secret frame" not in record["traceback"]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans()), max_size=20))
def test_chains_of_any_shape_end(links: list[tuple[int, int, bool]]) -> None:
    chain = [ValueError(str(number)) for number in range(8)]
    for start, end, is_cause in links:
        if is_cause:
            chain[start].__cause__ = chain[end]
        else:
            chain[start].__context__ = chain[end]
    found = errors.chain_of(chain[0])
    assert len(found) == len({id(error) for error in found}) <= 8
    assert found[0] is chain[0]
    assert errors.describe(chain[0])["type"] == "ValueError"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("customers = 1\nreturn custmers", "customers"),
        ("return 'abc'.uper()", "upper"),
        ("def f(): return lenn([])\nf()", "len"),
        ("return zzzzzz", None),
        ("return (1).qqqq", None),
    ],
)
def test_the_name_that_was_probably_meant_is_suggested(text: str, meant: str | None) -> None:
    message = described(text, lenx=0)["message"]
    assert ("Did you mean" in message) is (meant is not None)
    assert meant is None or f"'{meant}'" in message


@given(st.sampled_from([ValueError, SystemExit, KeyboardInterrupt, MemoryError, RecursionError]))
def test_guarded_texts_survive_every_exception(kind: type[BaseException]) -> None:
    def fail() -> object:
        raise kind

    assert texts.guarded_text(fail, "instead") == "instead"
    assert texts.guarded_text(lambda: 12, "instead") == "12"


def test_words_that_follow_a_sentence_follow_one_full_stop() -> None:
    record = described("exec(compile(\"raise FileNotFoundError('a not found.')\", 'library.py', 'exec'))")
    assert record["message"].startswith("a not found. A statement sees no files of yours: ")
    assert record["traceback"].endswith(f"FileNotFoundError: {record['message']}\n")
