"""Differential fuzzing, a small part of it with fixed numbers: no difference, and planted ones are found.

`make fuzz-differential` runs new cases for as long as one likes.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.differential.fuzz import __main__ as command
from tests.differential.fuzz import campaign, cases, house, known, sides
from tests.differential.fuzz.campaign import Campaign, Counts
from tests.differential.fuzz.draw import Draw

import wasmexec
from wasmexec import Deterministic

PAIRS = 800
MERGE = (Path(command.__file__).parent / "planted" / "merge_in_32_bits.py").read_text("utf-8")
WRONG_SUMS = "np.cumsum = lambda *a, keep=np.cumsum, **k: keep(*a, **k)[...] + (keep(*a, **k).size == 3)"
WRONG_SUMS_SHOWN = "result = np.cumsum(np.array([1, 2, 3]))"


@pytest.fixture(scope="module")
def native() -> Iterator[sides.Native]:
    with sides.Native() as process:
        yield process


def fuzzer(executor: wasmexec.Executor, first: int = 0, before: str = "", *, alone: bool = False) -> Campaign:
    return Campaign(
        sides.Guest(executor, before), Counts("test", next_seed=first), alone=alone, batch=200,
        expected=known.load(known.EXPECTED), faults=known.load(known.FAULTS),
    )  # fmt: skip


def test_random_programs_give_what_they_give_natively(executor: wasmexec.Executor) -> None:
    with fuzzer(executor) as found:
        found.run(pairs=PAIRS)
    assert [finding.text() for finding in found.findings] == []
    counts = found.counts
    assert (counts.pairs, counts.next_seed) == (PAIRS, PAIRS)
    assert counts.same + counts.listed + counts.faults + counts.poisoned == PAIRS
    assert counts.poisoned <= PAIRS / 10
    assert counts.raised <= PAIRS / 4


def test_every_known_difference_is_still_one(executor: wasmexec.Executor) -> None:
    with fuzzer(executor) as asked:
        assert command.check_lists(asked) == []


def test_a_known_difference_that_is_none_any_more_is_told(
    executor: wasmexec.Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrue = tmp_path / "expected.toml"
    keys = {"program": ".", "difference": ".", "reason": "none", "source": "nowhere", "example": "result = 1"}
    untrue.write_text("[[known]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items()))
    monkeypatch.setattr(known, "EXPECTED", untrue)
    with fuzzer(executor) as asked:
        wrong = command.check_lists(asked)
    assert wrong == ["expected.toml: not so any more (remove it): none\n    now: None"]


def test_relations_hold_natively(native: sides.Native) -> None:
    made = [
        (title, Draw(seed).fill(text, cases.MAKERS).strip()) for title, text in cases.relations() for seed in range(3)
    ]
    answers = sides.answer_all([program for _, program in made], native.ask)
    wrong = [(title, answer) for (title, _), answer in zip(made, answers, strict=True) if '"same": true' not in answer]
    assert wrong == []


def test_most_calls_give_a_value(native: sides.Native) -> None:
    programs = []
    for section in cases.sections():
        for template in section.templates[::3]:
            draw = Draw(len(template))
            first = draw.fill("{" + section.takes + "}", cases.MAKERS)
            programs.append(f"x = {first}\nresult = {draw.fill(template, cases.MAKERS)}")
    answers = sides.answer_all(programs, native.ask)
    broken = [program for program, answer in zip(programs, answers, strict=True) if "SyntaxError" in answer]
    assert broken == []
    assert sum(answer.startswith('{"is"') for answer in answers) >= 0.75 * len(answers)


@pytest.mark.parametrize(
    ("alone", "recipe"),
    [
        (True, "a merge by four keys of many values is a merge by a tuple of them"),
        (True, "a sorted join on three of many levels comes in the order of tuples"),
        (False, "many keys: pd.DataFrame({'i': {wide5}, 'j': {wide5}, 'k': {few5}, 'v': range(5)}).pipe"),
    ],
)
def test_a_merge_that_counts_in_32_bits_is_found(alone: bool, recipe: str, executor: wasmexec.Executor) -> None:
    made = [case for seed in range(12_000) if recipe in (case := cases.make(seed)).recipe]
    with fuzzer(executor, alone=alone) as right, fuzzer(executor, before=MERGE, alone=alone) as wrong:
        assert [one for one in right.compare_each(made) if one] == []
        found = [one for one in wrong.compare_each(made) if one]
    assert {one.way for one in found} <= {"relation", "value"}
    assert len(found) >= 2


def test_a_wrong_answer_is_found_confirmed_and_shortened(executor: wasmexec.Executor) -> None:
    case = cases.Case(1, "numpy", "sums", WRONG_SUMS_SHOWN)
    with fuzzer(executor, before=WRONG_SUMS) as planted:
        planted.run(pairs=PAIRS)
        assert str(planted.compare_each([case])[0]) == "value: 1 | 2"
    assert any("np.cumsum" in finding.case.program.splitlines()[-1] for finding in planted.findings)
    assert all(finding.steady for finding in planted.findings)
    assert f"--case {planted.findings[0].case.seed}\n" in planted.findings[0].text()


def test_a_run_goes_on_where_the_last_one_stopped(executor: wasmexec.Executor, tmp_path: Path) -> None:
    first = Campaign(sides.Guest(executor), campaign.load_counts("one image", tmp_path), jobs=1, batch=20)

    def interrupt(counts: Counts) -> None:
        if counts.pairs >= 20:
            raise KeyboardInterrupt

    def save(counts: Counts) -> None:
        campaign.save_counts(counts, tmp_path)

    with first, pytest.raises(KeyboardInterrupt):
        first.run(pairs=10_000, save=save, progress=interrupt)
    stored = campaign.load_counts("one image", tmp_path)
    assert 20 <= stored.next_seed <= stored.pairs < 10_000
    second = Campaign(sides.Guest(executor), stored, jobs=1, batch=20)
    second.run(pairs=20, save=save)
    again = campaign.load_counts("one image", tmp_path)
    assert (again.pairs, again.families.total()) == (first.counts.pairs + 20, first.counts.pairs + 20)
    assert campaign.load_counts("another image", tmp_path) == Counts("another image")


def test_what_kills_a_side_or_takes_too_much_is_told_from_what_differs(
    executor: wasmexec.Executor, native: sides.Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = ["result = 1", "import os\nos._exit(3)", "result = np.ones(2**31)", "result = 2"]
    for ask in (native.ask, sides.Guest(executor).ask):
        one, dies, poisoned, two = sides.answer_all(programs, ask)
        assert (one, poisoned, two) == ('{"is": 1}', '{"poisoned": "MemoryError"}', '{"is": 2}')
        assert dies.startswith('{"dies": ')
    monkeypatch.setattr(sides, "CASE_SECONDS", 1)
    with sides.Native() as hurried:
        endless, three = sides.answer_all(["while True: pass", "result = 3"], hurried.ask)
    assert endless.startswith('{"poisoned": "exit status -')
    assert three == '{"is": 3}'


def test_a_line_that_is_no_answer_is_no_pass() -> None:
    found = sides.answer_all(["one", "two"], lambda programs: (['{"is": 1}', "[free(): "][: len(programs)], None))
    assert found == ['{"is": 1}', '{"dies": "no answer: \'[free(): \'"}']


def test_one_program_leaves_nothing_to_the_next(executor: wasmexec.Executor, native: sides.Native) -> None:
    programs = ["y = 1\nresult = y", "result = y", "result = np.random.rand()", "result = np.random.rand()"]
    for ask in (native.ask, sides.Guest(executor).ask):
        first, second, third, fourth = sides.answer_all(programs, ask)
        assert first == '{"is": 1}'
        assert second == '{"raises": ["NameError", "name \'y\' is not defined"]}'
        assert third == fourth == '{"is": 0.5488135039273248}'


def test_house_pairs_agree(executor: wasmexec.Executor) -> None:
    assert house.run(executor, 0, 12) == []


class Unsteady:
    """An executor that never takes the seed that it is given."""

    def __init__(self, executor: wasmexec.Executor) -> None:
        self._executor = executor
        self._seed = 0

    def run(self, statement: str, **options: object) -> wasmexec.Result:
        self._seed += 1
        return self._executor.run(statement, determinism=Deterministic(seed=self._seed))


def test_a_pair_of_the_house_that_disagrees_is_told(
    executor: wasmexec.Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsteady = [house.twice(Unsteady(executor), Draw(seed))[1] for seed in range(6)]  # type: ignore[arg-type]
    assert any(problem is not None and problem.startswith("rows ") for problem in unsteady)
    monkeypatch.setitem(house._TYPES, "integer", {"type": "number"})
    monkeypatch.setitem(house._TYPES, "double", {"type": "integer"})
    wrong = [house.columns(executor, Draw(seed))[1] for seed in range(40)]
    assert any(problem is not None for problem in wrong)
