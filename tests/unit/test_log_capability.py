"""The log's caps: what fits is kept whole, what does not is counted, nothing is lost in silence."""

from __future__ import annotations

import pytest

from wasmexec import Limits, LogRecord
from wasmexec._channel import BadFrame
from wasmexec._hostcalls.log import LogCapability
from wasmexec._masking import Masker


def append(log: LogCapability, text: str, level: int = 2) -> bool:
    return log.append(level, memoryview(text.encode()))


def messages(log: LogCapability) -> list[str]:
    return [record.message for record in log.records]


def test_records_are_kept_up_to_the_limit_and_counted_beyond() -> None:
    log = LogCapability(Limits(log_records=2), None, None)
    assert [append(log, text) for text in "abcd"] == [True, True, False, False]
    assert (messages(log), log.dropped()) == (["a", "b"], 2)


def test_bytes_are_counted_as_utf8_and_the_last_message_is_cut_at_a_character() -> None:
    log = LogCapability(Limits(log_bytes=6), None, None)
    assert [append(log, text) for text in ("€", "€€", "x")] == [True, False, False]
    assert messages(log) == ["€", "€ … [cut: the message has 6 bytes]"]
    assert log.dropped() == 2


def test_a_message_of_exactly_the_rest_fits() -> None:
    log = LogCapability(Limits(log_bytes=4), None, None)
    assert append(log, "abcd")
    assert not append(log, "e")
    assert (messages(log), log.dropped()) == (["abcd"], 1)


def test_empty_messages_cost_a_record_but_no_bytes() -> None:
    log = LogCapability(Limits(log_bytes=0, log_records=2), None, None)
    assert [append(log, "") for _ in range(3)] == [True, True, False]


def test_nothing_is_kept_of_a_log_without_room() -> None:
    log = LogCapability(Limits(log_bytes=0), None, None)
    assert not append(log, "abc")
    assert (messages(log), log.dropped()) == ([], 1)


def test_the_guests_own_count_includes_what_the_host_refused() -> None:
    log = LogCapability(Limits(log_records=1), None, None)
    append(log, "a")
    append(log, "b")
    assert log.dropped([0, 0, 5, 1, 0]) == 6
    assert not log.has_errors
    assert log.dropped([0, 0, 0, 0, 1]) == 1
    assert log.has_errors


def test_an_error_record_is_remembered_even_if_dropped() -> None:
    log = LogCapability(Limits(log_records=0), None, None)
    append(log, "bad", level=4)
    assert (log.has_errors, messages(log)) == (True, [])


def test_a_secret_across_the_cut_is_masked_before_the_cut() -> None:
    log = LogCapability(Limits(log_bytes=10), Masker(["topsecret"]), None)
    append(log, "1234567topsecret and more")
    assert messages(log) == ["1234567*** … [cut: the message has 25 bytes]"]


def test_each_kept_record_is_delivered_masked_and_once() -> None:
    delivered: list[LogRecord] = []
    log = LogCapability(Limits(log_records=2), Masker(["key"]), delivered.append)
    for text in ("a key", "b", "c"):
        append(log, text, level=1)
    assert delivered == log.records
    assert [(record.level, record.message) for record in delivered] == [("debug", "a ***"), ("debug", "b")]


def test_a_level_that_does_not_exist_is_a_bad_frame() -> None:
    with pytest.raises(BadFrame):
        append(LogCapability(Limits(), None, None), "x", level=5)
