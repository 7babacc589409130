"""The comparison and the generators of the differential fuzzer: what differs is found, what may differ passes."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.differential.fuzz import cases, comparing, known
from tests.differential.fuzz.cases import EXACT, Tolerance
from tests.differential.fuzz.comparing import WAYS, Difference
from tests.differential.fuzz.draw import Draw


def answer(tree: Any, **more: Any) -> str:
    return json.dumps({"is": tree, **more})


def array(*items: float, dtype: str = "<f8") -> list[Any]:
    return ["array", dtype, [len(items)], list(items)]


@pytest.mark.parametrize(
    ("native", "guest", "way"),
    [
        (answer(1), answer(2), "value"),
        (answer(1), answer(1.0), "value"),
        (answer(1), answer(True), "value"),
        (answer("a"), answer("b"), "value"),
        (answer(None), answer(float("nan")), "value"),
        (answer(array(1, 2)), answer(array(1, 2, dtype="<f4")), "dtype"),
        (answer(["array", "<i8", [1, 2], [[1, 2]]]), answer(["array", "<i8", [2, 1], [[1], [2]]]), "shape"),
        (answer(["list", 1, 2]), answer(["list", 1]), "shape"),
        (answer(["list", 1, 2]), answer(["list", 2, 1]), "value"),
        (answer(array(1.0, float("nan"))), answer(array(float("nan"), 1.0)), "not a number"),
        (answer(array(0.1)), answer(array(0.10000000000000002)), "last digits"),
        (answer(0.0), answer(-0.0), "last digits"),
        (answer(array(0.1)), answer(array(0.11)), "value"),
        (answer(["frame", [array(1.5)]]), answer(["frame", [array(1.25)]]), "value"),
        (answer(1), '{"raises": ["ValueError", "no"]}', "only the guest raises"),
        ('{"raises": ["ValueError", "no"]}', answer(1), "only native raises"),
        ('{"raises": ["ValueError", "no"]}', '{"raises": ["ValueError", "yes"]}', "exception"),
        ('{"raises": ["ValueError", "no"]}', '{"raises": ["TypeError", "no"]}', "exception"),
        (answer(1, warns=[["RuntimeWarning", "divide by zero"]]), answer(1), "warnings"),
        ('{"same": true}', '{"same": [["list", 1], ["list", 2]]}', "relation"),
        ('{"same": [1, 2]}', '{"same": true}', "value"),
        ('{"same": [["list", 1], ["list", 2]]}', '{"same": [["list", 1], ["list", 2]]}', "relation on both sides"),
        (answer(1), '{"dies": "status 304"}', "dies"),
        ('{"dies": "exit status -11"}', answer(1), "dies"),
    ],
)
def test_a_difference_is_found_and_named(native: str, guest: str, way: str) -> None:
    found = comparing.compare(native, guest)
    assert found is not None
    assert found.way == way
    assert way in WAYS
    assert comparing.compare(native, native) is None or "relation" in way or "dies" in way


@pytest.mark.parametrize(
    ("tolerance", "near", "far"),
    [
        (Tolerance("ulps", 2), 1 + 2 * 2**-52, 1 + 4 * 2**-52),
        (Tolerance("reduction"), 1 + 60 * 10 * 2**-52, 1 + 80 * 10 * 2**-52),
        (Tolerance("norm", 100), 1 + 900 * 2**-52, 1 + 1200 * 2**-52),
        (EXACT, 1.0, 1 + 2**-52),
    ],
)
def test_a_float_may_be_as_far_away_as_its_rule_says(tolerance: Tolerance, near: float, far: float) -> None:
    native = answer(array(1.0, 10.0), bound=10.0)
    assert comparing.compare(native, answer(array(near, 10.0), bound=10.0), tolerance) is None
    assert comparing.compare(native, answer(array(far, 10.0), bound=10.0), tolerance) is not None


def test_a_tolerance_is_of_the_type_and_of_floats_only() -> None:
    one, next_single = answer(array(1.0, dtype="<f4")), answer(array(1 + 2**-23, dtype="<f4"))
    assert comparing.compare(one, next_single, Tolerance("ulps", 1)) is None
    assert comparing.compare(answer(array(1.0)), answer(array(1 + 2**-23)), Tolerance("ulps", 1)) is not None
    assert comparing.compare(answer(7), answer(8), Tolerance("norm", 2**52)) is not None
    nan = answer(array(float("nan")))
    assert comparing.compare(nan, answer(array(1.0)), Tolerance("norm", 2**52)) is not None


def test_what_ran_out_of_something_neither_passes_nor_fails() -> None:
    poisoned = '{"poisoned": "MemoryError"}'
    assert comparing.is_poisoned(answer(1), poisoned)
    assert comparing.is_poisoned(poisoned, answer(1))
    assert not comparing.is_poisoned(answer("poisoned"), answer(1))
    assert comparing.compare(poisoned, answer(1)) is None


def test_a_case_follows_from_its_number() -> None:
    assert [cases.make(seed) for seed in range(300)] == [cases.make(seed) for seed in range(300)]
    assert len({cases.make(seed).program for seed in range(300)}) > 290


def test_cases_are_of_every_family_section_and_relation() -> None:
    made = [cases.make(seed) for seed in range(12_000)]
    assert {case.family for case in made} == {"numpy", "pandas", "relations"}
    titles = {title for case in made for title in case.recipe.partition(": ")[0].split(" > ")}
    assert {section.title for section in cases.sections()} <= titles
    assert {title for title, _ in cases.relations()} <= {case.recipe for case in made}
    assert {len(case.steps) for case in made} == {0, 2, 3, 4, 5, 6}
    programs = "\n".join(case.program for case in made)
    for text in ("range(50000)", "minlength=65537", "4294967297", "np.broadcast_to(np.float64(3), (2, 2147483648))"):
        assert text in programs
    for dtype in ("i1", "u8", "f2", "c16", "?", "U3", "S2", "O", "M8[ns]", "m8[h]"):
        assert f"], '{dtype}')" in programs


def test_a_program_has_fewer_calls_when_shortened() -> None:
    case = next(case for seed in range(1_000) if len((case := cases.make(seed)).steps) == 5)
    shorter = list(case.shortened())
    assert [len(one.steps) for one in shorter] == [2, 3, 4]
    assert all(one.program.splitlines()[-1].startswith("result = ") for one in shorter)
    assert shorter[-1].program.splitlines()[:-1] == list(case.steps[:3])


def test_places_of_a_template_are_filled() -> None:
    made = {Draw(seed).fill("f({a}{|, {b}|, 3})", {"a": lambda _: "1", "b": lambda _: "2"}) for seed in range(50)}
    assert made == {"f(1)", "f(1, 2)", "f(1, 3)"}
    assert Draw(0).fill("{'k': 1, 2: 3}", {}) == "{'k': 1, 2: 3}"
    with pytest.raises(KeyError):
        Draw(0).fill("{nobody}", {})


ENTRY = """
[[known]]
program = 'np\\.sort'
difference = '^value: 1 \\| 2$'
reason = "a reason"
source = "docs/differences.md"
example = "result = np.sort([1])"
"""


def test_only_what_is_listed_may_differ(tmp_path: Path) -> None:
    file = tmp_path / "list.toml"
    file.write_text(ENTRY)
    entries = known.load(file)
    difference = Difference("value", "1", "2")
    assert known.covering(entries, "result = np.sort(x)", difference) is entries[0]
    assert known.covering(entries, "result = np.max(x)", difference) is None
    assert known.covering(entries, "result = np.sort(x)", Difference("dtype", "1", "2")) is None
    assert known.stale(entries, [difference]) == []
    assert known.stale(entries, [None]) == entries
    assert known.stale(entries, [Difference("dies", "1", "2")]) == entries


@pytest.mark.parametrize("missing", ["reason", "source", "example", "difference"])
def test_an_entry_says_everything(missing: str, tmp_path: Path) -> None:
    file = tmp_path / "list.toml"
    file.write_text("\n".join(line for line in ENTRY.splitlines() if not line.startswith(missing)))
    with pytest.raises(ValueError, match=r"list.toml: an entry has"):
        known.load(file)
