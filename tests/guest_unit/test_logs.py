"""logs.py: every line that is printed or written is one record, in order, and what the host refuses is counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guest_unit import stand_in

from wasmexec_guest import api, logger, logs
from wasmexec_guest.logs import ERROR, INFO, WARN, LogStream

TEXT = st.text("ab\n ", max_size=6)


def messages() -> list[str]:
    return [message for _, message in stand_in.host.records]


@given(st.lists(st.tuples(TEXT, st.sampled_from(["\n", "", " ", "x\n", "\n\n"])), max_size=8))
def test_what_is_printed_is_all_there_and_no_record_holds_the_end_of_its_line(prints: list[tuple[str, str]]) -> None:
    logs.reset()
    stand_in.host.reset()
    for text, end in prints:
        api.print_to_log(text, end=end)
    logs.flush_all()
    whole = "".join(text + end for text, end in prints)
    kept = "\n".join(messages())
    assert kept == whole.removesuffix("\n") or kept + "\n" == whole or kept == whole


@given(st.lists(TEXT, max_size=8))
def test_a_stream_gives_one_record_a_line_however_it_is_written(parts: list[str]) -> None:
    logs.reset()
    stand_in.host.reset()
    stream = LogStream(WARN)
    assert [stream.write(part) for part in parts] == list(map(len, parts))
    stream.flush()
    lines = "".join(parts).split("\n")
    assert stand_in.host.records == [(WARN, line) for line in (lines if lines[-1] else lines[:-1])]


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(0, 10))
def test_taken_and_dropped_records_are_all_records(levels: list[int], takes: int) -> None:
    logs.reset()
    stand_in.host.reset()
    stand_in.host.takes = takes
    for level in levels:
        logs.emit(level, "m")
    counted = [levels.count(level) for level in range(5)]
    taken = [sum(1 for at, _ in stand_in.host.records if at == level) for level in range(5)]
    assert [a + b for a, b in zip(taken, logs.dropped(), strict=True)] == counted


def test_a_begun_line_goes_before_the_next_record() -> None:
    api.print_to_log("a", end="")
    logger.Log().error("b")
    api.print_to_log("c", "d", sep="-")
    assert stand_in.host.records == [(INFO, "a"), (ERROR, "b"), (INFO, "c-d")]


def test_each_level_has_its_method_and_takes_anything() -> None:
    for method in ("trace", "debug", "info", "warn", "error"):
        getattr(logger.Log(), method)(12)
    assert stand_in.host.records == [(level, "12") for level in range(5)]


@pytest.mark.parametrize("options", [{"sep": 1}, {"end": b"x"}])
def test_print_refuses_what_print_refuses(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        api.print_to_log("a", **options)
    assert messages() == []


@pytest.mark.parametrize("text", [b"x", None, 1])
def test_a_stream_takes_text_only(text: Any) -> None:
    with pytest.raises(TypeError):
        LogStream(WARN).write(text)


class TestLocalVariables:
    """`LocalVariable`, whose every attribute is a variable."""

    variables = api.LocalVariables({"A": 1, "values": None, "__x": 2})

    def test_values_are_read_by_attribute(self) -> None:
        assert (self.variables.A, self.variables.values, dir(self.variables)) == (1, None, ["A", "__x", "values"])

    @pytest.mark.parametrize("name", ["B", "a", "_LocalVariables__values", "keys"])
    def test_an_unknown_one_is_an_error_that_names_the_known(self, name: str) -> None:
        with pytest.raises(AttributeError, match="A, values"):
            getattr(self.variables, name)

    def test_none_can_be_assigned_or_deleted(self) -> None:
        with pytest.raises(AttributeError, match="cannot be assigned"):
            self.variables.A = 2
        with pytest.raises(AttributeError, match="cannot be deleted"):
            del self.variables.A
        assert self.variables.A == 1
