"""Which statements are compiled once and kept, for how long, and in how much memory."""

from __future__ import annotations

from wasmexec._codes import CodeCache, Refused, Text


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
    codes = CodeCache(max_bytes=30)
    for statement in "abc":
        codes.find(statement, at_once=True)
        codes.keep(statement, b"123456789")
    assert codes.find("a", at_once=False) == b"123456789"
    codes.find("d", at_once=False)
    assert codes.find("a", at_once=False) == b"123456789"
    assert codes.find("c", at_once=False) == b"123456789"
    assert codes.find("b", at_once=False) is Text.SEND


def test_texts_count_too_and_one_that_was_dropped_meanwhile_is_not_kept() -> None:
    codes = CodeCache(max_bytes=10)
    assert codes.find("a", at_once=True) is None
    for number in range(100):
        codes.find(f"statement {number}", at_once=False)
    codes.keep("a", b"code")
    assert codes.find("a", at_once=False) is Text.SEND
    assert codes._bytes <= 10
