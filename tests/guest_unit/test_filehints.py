"""filehints.py: which errors of files get words, whoever raised them."""

from __future__ import annotations

import errno
import os

import pytest

from wasmexec_guest import filehints


def caught(code: str, name: str) -> BaseException:
    """What `code` raises in a file of that name."""
    try:
        exec(compile(code, name, "exec"), {"os": os})
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def words(error: BaseException) -> str | None:
    return filehints.for_error(error, error.__traceback__, "<statement>")


@pytest.mark.parametrize("name", ["<statement>", "library.py"])
def test_what_the_system_says_gets_words_wherever_it_was_asked(name: str) -> None:
    assert words(caught("open('/nowhere/sales.csv')", name)) == filehints._MISSING
    assert words(caught("os.listdir('/nowhere')", name)) == filehints._MISSING
    assert words(caught(f"raise OSError({errno.EROFS}, 'text', 'out.csv')", name)) == filehints._READ_ONLY


def test_words_of_a_statement_about_its_own_files_stay_alone() -> None:
    assert words(caught("raise FileNotFoundError('none for customer 3')", "<statement>")) is None
    assert words(caught("raise FileNotFoundError('sales.txt not found.')", "library.py")) == filehints._MISSING


def test_an_address_is_told_from_a_path() -> None:
    assert words(caught("open('https://a.example/b.csv')", "<statement>")) == filehints._REMOTE


@pytest.mark.parametrize(
    "error", [OSError(), OSError(errno.EIO, "text", "name"), IsADirectoryError(21, "x", "y"), ValueError("x")]
)
def test_other_errors_get_none(error: BaseException) -> None:
    assert words(error) is None
