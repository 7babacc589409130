"""The log's caps: what fits is kept whole, what does not is counted, nothing is lost in silence."""

from __future__ import annotations

import pytest

from wasmexec import Limits, LogRecord
from wasmexec._guest.channel import BadFrame
from wasmexec._hostcalls.log import LogCapability
from wasmexec._masking.masker import Masker

WARN, ERROR = 3, 4


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


def test_an_error_is_kept_even_by_a_log_without_room() -> None:
    for limits in (Limits(log_records=0), Limits(log_bytes=0), Limits(log_records=0, log_bytes=0)):
        log = LogCapability(limits, None, None)
        assert append(log, "bad", level=ERROR)
        assert (log.has_errors, messages(log), log.dropped()) == (True, ["bad"], 0)


@pytest.mark.parametrize("limits", [Limits(log_records=3), Limits(log_bytes=3)])
def test_a_full_log_has_a_reserve_for_warnings_and_errors(limits: Limits) -> None:
    log = LogCapability(limits, None, None)
    assert [append(log, text, level) for text, level in zip("abcdef", (2, 0, 1, 2, 0, 1), strict=True)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert append(log, "warned", WARN)
    assert append(log, "failed", ERROR)
    assert not append(log, "g")
    assert messages(log) == ["a", "b", "c", "warned", "failed"]
    assert (log.dropped(), log.dropped([3, 1, 2, 0, 0])) == (4, 6)


def test_the_reserve_is_bounded_and_warnings_leave_room_for_errors() -> None:
    log = LogCapability(Limits(log_records=1), None, None)
    assert append(log, "a")
    assert [append(log, "w", WARN) for _ in range(102)] == [True] * 100 + [False] * 2
    assert [append(log, "e", ERROR) for _ in range(102)] == [True] * 100 + [False] * 2
    assert (len(log.records), log.dropped()) == (201, 4)


@pytest.mark.parametrize("size", [0, 1, 4_096, 5_000, 90_000, 200_000])
@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0)])
def test_nobody_gets_more_than_the_caps_and_the_reserve(size: int, order: tuple[int, ...]) -> None:
    log = LogCapability(Limits(log_records=300, log_bytes=100_000), None, None)
    for level in order:
        for _ in range(1_000):
            append(log, "x" * size, level)
    kept = sum(len(record.message.partition(" … [cut")[0]) for record in log.records)
    assert len(log.records) <= 300 + 200
    assert kept <= 100_000 + 200 * 4_096
    assert {"error"} <= {record.level for record in log.records}
    whole = sum(" … [cut" not in record.message for record in log.records)
    assert log.dropped() == 5_000 - whole


def test_a_long_error_is_cut_and_leaves_room_for_the_next() -> None:
    log = LogCapability(Limits(log_bytes=2), None, None)
    assert append(log, "ab")
    assert append(log, "€" * 2_000, ERROR)
    assert append(log, "the next one", ERROR)
    assert messages(log)[1:] == ["€" * 1365 + " … [cut: the message has 6,000 bytes]", "the next one"]
    # The guest has counted none: it may go on.
    assert log.dropped([0, 0, 0, 0, 0]) == 1


def test_an_error_is_not_cut_at_the_rest_of_the_cap_when_the_reserve_has_room_for_more() -> None:
    log = LogCapability(Limits(log_bytes=10), None, None)
    assert append(log, "a" * 8)
    assert append(log, "e" * 4_096, ERROR)
    assert [len(text) for text in messages(log)] == [8, 4_096]
    large = LogCapability(Limits(log_bytes=10_000), None, None)
    assert append(large, "e" * 20_000, ERROR)
    assert messages(large)[0].startswith("e" * 10_000 + " … [cut")


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
