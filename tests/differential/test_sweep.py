"""Public functions of numpy, pandas and the standard library give in the guest what they give natively.

This is a part of the sweep: each n-th expression of every kind, and all of the small kinds. `python -m
tests.differential.sweep` runs the whole, `make conformance` too.
"""

import asyncio
import re
from collections import defaultdict

import pytest
from tests.conformance.compare import Expectation
from tests.differential.sweep import answers, differences, sides
from tests.differential.sweep.differences import Difference
from tests.differential.sweep.sides import Answers

import wasmexec

MOST = 150
"""Expressions of a kind in this part."""


def part() -> list[tuple[int, str, str]]:
    """Number, kind and text of the expressions of this part, evenly from all over each kind."""
    kinds: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for number, (kind, text) in enumerate(sides.expressions()):
        kinds[kind].append((number, kind, text))
    return sorted(one for found in kinds.values() for one in found[:: -(-len(found) // MOST)])


@pytest.fixture(scope="module")
def expressions() -> list[tuple[int, str, str]]:
    return part()


@pytest.fixture(scope="module")
def both(expressions: list[tuple[int, str, str]], executor: wasmexec.Executor) -> tuple[Answers, Answers]:
    return asyncio.run(sides.answer_both([(number, text) for number, _, text in expressions], executor))


def test_what_differs_is_listed(expressions: list[tuple[int, str, str]], both: tuple[Answers, Answers]) -> None:
    comparison = differences.compare(expressions, *both, differences.load_expected())
    report = "\n".join(str(difference) for difference in comparison.unlisted[:40])
    assert not comparison.unlisted, f"{len(comparison.unlisted)} differ: python -m tests.differential.sweep\n{report}"


def test_the_part_is_large_and_most_of_it_has_a_value(
    expressions: list[tuple[int, str, str]], both: tuple[Answers, Answers]
) -> None:
    native, _ = both
    assert len(expressions) >= 4_000
    assert len({kind for _, kind, _ in expressions}) >= 40
    assert sum(not text.startswith(("raises", "dies")) for text in native.values()) >= 1_500
    assert not [text for text in native.values() if text.startswith("dies")]


def test_a_text_says_each_thing_that_must_be_equal() -> None:
    def text(expression: str) -> str:
        names = {**answers.namespace(), **dict.fromkeys(("numpy", "pandas"), _Stand)}
        return answers.answer(expression, names)

    assert text("1") != text("1.0") != text("True")
    assert text("0.1 + 0.2") != text("0.3")
    assert text("(1, 2)") != text("[1, 2]")
    assert text("{1: 2}") == "dict{1: 2} of 1"
    assert text("[].pop()") == "raises IndexError: pop from empty list"
    assert text("open('/no/where')").startswith("raises FileNotFoundError errno ")
    assert text("iter('abc')") == "str_ascii_iterator('a', 'b', 'c' …)"
    assert text("object()") == "object <object object at 0x…>"


class _Stand:
    """Stands for a package whose random state is seeded before each expression."""

    class random:
        seed = staticmethod(lambda seed: None)


@pytest.mark.parametrize(
    ("native", "guest", "way"),
    [
        ("ndarray <i8 (1,) [1]", "ndarray <i4 (1,) [1]", "integer's size"),
        ("Series None int64 1 ['1']", "Series None int32 1 ['1']", "integer's size"),
        ("0.3333333333333333", "0.33333333333333337", "last digits"),
        ("0.3333333333333333", "0.33334", "value"),
        ("ndarray <i8 (1,) [4]", "ndarray <i4 (1,) [-4]", "value"),
        ("5", "raises ValueError: no", "only the guest raises"),
        ("raises ValueError: no", "5", "only native raises"),
        ("raises ValueError: no", "raises ValueError: yes", "message"),
        ("5", "dies: status 306", "dies"),
    ],
)
def test_the_way_of_a_difference(native: str, guest: str, way: str) -> None:
    assert Difference("kind", "text", native, guest).way == way


def test_only_what_is_listed_may_differ() -> None:
    native, guest = {1: "5", 2: "5"}, {1: "5", 2: "6"}
    numbered = [(1, "kind", "a"), (2, "kind", "b")]
    comparison = differences.compare(numbered, native, guest, [])
    assert [(one.text, one.way) for one in comparison.unlisted] == [("b", "value")]
    entry = Expectation("kind", (re.compile("b"),), re.compile("^value: 5 "), "a reason")
    comparison = differences.compare(numbered, native, guest, [entry])
    assert (comparison.unlisted, comparison.listed, entry.used) == ([], {"kind": 1}, 1)
    elsewhere = Expectation("other kind", (re.compile("b"),), None, "a reason")
    assert differences.compare(numbered, native, guest, [elsewhere]).unlisted


def test_what_kills_the_guest_is_said_and_the_rest_is_answered(executor: wasmexec.Executor) -> None:
    numbered = [(7, "1 + 1"), (8, "os._exit(3)"), (9, "2 + 2")]
    for run_once in (sides.native, sides.guest(executor)):
        found = sides.answer_all(numbered, run_once, 500)
        assert (found[7], found[9]) == ("2", "4")
        assert found[8].startswith("dies: ")
