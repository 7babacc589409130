"""Which statements are compiled once and kept, for how long, and in how much memory."""

from __future__ import annotations

import tracemalloc

import pytest

from wasmexec._guest.codes import CodeCache, Known, Refused, Text


def test_a_statement_is_compiled_when_it_is_run_for_the_second_time() -> None:
    codes = CodeCache()
    assert codes.find("a", at_once=False) is Text.SEND
    assert codes.find("a", at_once=False) is None
    codes.keep("a", b"code")
    assert codes.find("a", at_once=False) == b"code"
    assert codes.find("b", at_once=False) is Text.SEND


def test_at_once_means_the_first_time() -> None:
    codes = CodeCache()
    assert codes.find("a", at_once=True) is None
    codes.keep("a", b"code")
    assert codes.find("a", at_once=True) == b"code"


def test_while_one_compiles_others_do_not_wait_and_do_not_compile_too() -> None:
    codes = CodeCache()
    codes.find("a", at_once=False)
    assert codes.find("a", at_once=False) is None
    assert [codes.find("a", at_once=False) for _ in range(3)] == [Text.SEND] * 3
    # What must not depend on others compiles all the same; what comes first is kept.
    assert codes.find("a", at_once=True) is None
    codes.keep("a", b"first")
    codes.keep("a", b"second")
    assert codes.find("a", at_once=False) == b"first"


def test_if_compiling_came_to_nothing_the_next_one_tries_again() -> None:
    codes = CodeCache()
    codes.find("a", at_once=False)
    assert codes.find("a", at_once=False) is None
    codes.keep("a", None)
    assert codes.find("a", at_once=False) is None


def test_refusals_and_that_a_code_is_too_long_are_kept() -> None:
    codes = CodeCache()
    for statement, known in (("a", Refused({"kind": "syntax"})), ("b", Text.SEND)):
        assert codes.find(statement, at_once=True) is None
        codes.keep(statement, known)
        assert codes.find(statement, at_once=True) is known


def test_what_was_not_used_for_longest_goes_first() -> None:
    code = b"123456789" * 1000
    codes = CodeCache(max_bytes=30_000)
    for statement in "abc":
        codes.find(statement, at_once=True)
        codes.keep(statement, code)
    assert codes.find("a", at_once=False) == code
    codes.find("d" * 2000, at_once=False)
    assert codes.find("a", at_once=False) == code
    assert codes.find("c", at_once=False) == code
    assert codes.find("b", at_once=False) is Text.SEND


def test_texts_count_too_and_one_that_was_dropped_meanwhile_is_not_kept() -> None:
    codes = CodeCache(max_bytes=10_000)
    assert codes.find("a", at_once=True) is None
    for number in range(100):
        codes.find(f"statement {number}", at_once=False)
    codes.keep("a", b"code")
    assert codes.find("a", at_once=False) is Text.SEND
    assert codes._bytes <= 10_000


@pytest.mark.parametrize("known", [None, b"", Text.SEND, Refused({"kind": "syntax", "text": "x" * 500})])
def test_what_is_kept_of_tiny_statements_takes_no_more_memory_than_allowed(known: Known | None) -> None:
    allowed = 2 << 20
    codes = CodeCache(max_bytes=allowed)
    tracemalloc.start()
    try:
        for number in range(20_000):
            codes.find(str(number), at_once=True)
            if isinstance(known, Refused):
                # Each is a record of its own, as from a guest.
                codes.keep(str(number), Refused({key: f"{value}{number}" for key, value in known.record.items()}))
            else:
                codes.keep(str(number), known)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used <= allowed
    # The control: they were kept as long as there was room.
    assert len(codes._entries) > 1000
