"""API keys: their form, what is kept of them, who is refused and why, and that no secret is shown."""

from __future__ import annotations

import copy
import hashlib
import pickle
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec.errors import ConfigError
from wasmexec.server.tenants.keys import (
    KEY_LENGTH,
    Key,
    KeyRecord,
    KeyRefused,
    Scope,
    check_delegation,
    find,
    issue,
    parse_scopes,
    rotate,
)

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new(**options: Any) -> tuple[Key, KeyRecord]:
    return issue(**{"tenant": "acme", "name": "ci", "scopes": ["run", "read"], "now": 1000.0, **options})


def refused(action: Callable[[], object]) -> KeyRefused:
    with pytest.raises(KeyRefused) as caught:
        action()
    return caught.value


def secret_of(key: Key) -> str:
    return key.reveal().split("_")[2][:-6]


def test_a_key_has_the_documented_form_and_256_random_bits() -> None:
    asked: list[int] = []

    def count(size: int) -> bytes:
        asked.append(size)
        return b"\xff" * size

    key, record = new(random_bytes=count)
    assert asked[1:] == [32]
    assert re.fullmatch(r"wx_[0-9A-Za-z]{15}_[0-9A-Za-z]{49}", key.reveal())
    assert len(key.reveal()) == KEY_LENGTH == 68
    value = 0
    for letter in secret_of(key):
        value = value * 62 + LETTERS.index(letter)
    assert value == 2**256 - 1
    assert record.id == key.id == key.reveal().split("_")[1]


def test_keys_differ() -> None:
    keys = [new()[0] for _ in range(200)]
    assert len({key.id for key in keys}) == len({secret_of(key) for key in keys}) == 200


def test_what_is_kept_is_the_sha_256_of_the_text_and_nothing_else_of_it() -> None:
    key, record = new()
    assert record.digest == hashlib.sha256(key.reveal().encode()).digest()
    kept = repr(pickle.dumps(record)) + repr(record)
    assert secret_of(key) not in kept
    assert "digest" not in repr(record)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=11, max_size=11))
def test_a_key_is_read_as_it_was_issued(secret: bytes, key_id: bytes) -> None:
    key, record = new(random_bytes=lambda size: secret if size == 32 else key_id)
    again = Key.parse(key.reveal())
    assert (again.id, again.digest) == (record.id, record.digest)
    assert find(again, record, 1000.0) is record


@given(st.integers(0, KEY_LENGTH - 1), st.sampled_from(LETTERS + "_-é\n"))
def test_one_wrong_character_is_found_without_the_store(place: int, letter: str) -> None:
    text = new()[0].reveal()
    wrong = text[:place] + letter + text[place + 1 :]
    if wrong == text:
        assert Key.parse(wrong).reveal() == text
        return
    assert refused(lambda: Key.parse(wrong)).rule in ("form", "checksum")


@pytest.mark.parametrize("change", [str.lower, str.upper, lambda t: t[:-1], lambda t: t + "0", lambda t: f" {t}",
                                    lambda t: t + "\n", lambda t: "", lambda t: t * 1000, lambda t: t[3:]])  # fmt: skip
def test_what_is_not_a_key_is_refused_by_its_form(change: Callable[[str], str]) -> None:
    text = new(random_bytes=lambda size: bytes(range(200, 200 + size)))[0].reveal()
    error = refused(lambda: Key.parse(change(text)))
    assert error.rule in ("form", "checksum")


def test_two_letters_in_each_others_place_are_a_checksum() -> None:
    text = new(random_bytes=lambda size: bytes(range(200, 200 + size)))[0].reveal()
    places = list(text)
    places[25], places[26] = places[26], places[25]
    assert "".join(places) != text
    error = refused(lambda: Key.parse("".join(places)))
    assert (error.rule, error.message) == (
        "checksum",
        "the API key was mistyped or cut: its checksum does not fit",
    )


def test_no_error_and_no_repr_shows_the_secret() -> None:
    key, record = new()
    secret = secret_of(key)
    _, other = new()
    actions: list[Callable[[], object]] = [
        lambda: Key.parse(key.reveal() + "x"),
        lambda: Key.parse(key.reveal()[:-1] + ("0" if key.reveal()[-1] != "0" else "1")),
        lambda: find(key, None, 0.0),
        lambda: find(key, other, 0.0),
        lambda: record.require(Scope.ADMIN),
        lambda: pickle.dumps(key),
        lambda: copy.copy(key),
    ]
    shown = [repr(key), str(key), f"{key}", f"{key!r}", repr(record)]
    for action in actions:
        with pytest.raises((KeyRefused, TypeError)) as caught:
            action()
        shown += ["".join(traceback.format_exception(caught.value)), repr(caught.value), str(vars(caught.value))]
    for text in shown:
        assert not any(secret[at : at + 8] in text for at in range(len(secret) - 8))
    assert repr(key) == f"Key('wx_{key.id}_...')"
    assert secret in key.reveal()


def test_an_unknown_id_and_a_wrong_secret_are_told_apart_by_nobody() -> None:
    key, _ = new()
    other, record = new()
    unknown, wrong = refused(lambda: find(key, None, 0.0)), refused(lambda: find(key, record, 0.0))
    assert (unknown.rule, unknown.message) == (wrong.rule, wrong.message) == ("unknown", "there is no such API key")
    assert find(other, record, 1000.0) is record


def test_an_expired_record_says_so_only_to_who_has_the_secret() -> None:
    key, record = new(lifetime_seconds=10)
    stranger, _ = new()
    assert find(key, record, 1009.9) is record
    assert refused(lambda: find(key, record, 1010.0)).rule == "expired"
    assert refused(lambda: find(stranger, record, 1010.0)).rule == "unknown"


def test_a_revoked_key_is_refused_from_that_moment() -> None:
    key, record = new()
    revoked = KeyRecord(**{**{n: getattr(record, n) for n in record.__slots__}, "revoked_at": 2000.0})
    assert find(key, revoked, 1999.9) is revoked
    assert refused(lambda: find(key, revoked, 2000.0)).rule == "revoked"
    assert (revoked.is_valid(1999.9), revoked.is_valid(2000.0)) == (True, False)


def test_the_comparison_takes_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known and unknown ids both go through `hmac.compare_digest`, with 32 bytes on each side."""
    import hmac

    real, compared = hmac.compare_digest, []

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    key, record = new()
    find(key, record, 1000.0)
    refused(lambda: find(key, None, 1000.0))
    assert compared == [(32, 32)] * 2


def test_a_scope_that_is_missing_is_named_and_none_includes_another() -> None:
    for held in Scope:
        record = new(scopes=[held])[1]
        record.require(held)
        for other in set(Scope) - {held}:
            error = refused(lambda record=record, other=other: record.require(other))  # type: ignore[misc]
            assert (error.rule, error.scope) == ("scope", other)
            assert f"no scope {other}, only {held};" in error.message


def test_a_key_hands_on_no_more_than_it_has() -> None:
    manager = new(scopes=["keys", "run"])[1]
    check_delegation({Scope.RUN, Scope.KEYS}, manager)
    assert refused(lambda: check_delegation({Scope.RUN, Scope.ADMIN}, manager)).scope == "admin"
    assert refused(lambda: check_delegation({Scope.RUN}, new(scopes=["run"])[1])).scope == "keys"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scopes": []}, "keys: a key needs at least one scope"),
        ({"scopes": "run"}, 'keys: scopes must be a list, such as ["run", "read"]'),
        ({"scopes": ["root"]}, "keys: there is no scope 'root', only run, read, steps, secrets, keys, admin"),
        ({"lifetime_seconds": 0}, "keys: lifetime_seconds must be positive, not 0"),
        ({"lifetime_seconds": float("inf")}, "keys: lifetime_seconds must be positive, not inf"),
        ({"now": float("nan")}, "keys: times must be finite"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_issued(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        new(**options)
    assert caught.value.message == message


def test_scopes_are_read_by_name() -> None:
    assert parse_scopes(["run", Scope.READ, "run"]) == {Scope.RUN, Scope.READ}


def test_rotation_leaves_the_old_key_valid_for_a_while_with_the_same_rights() -> None:
    old_key, old = new(scopes=["run", "steps"], project="p1", lifetime_seconds=500)
    turn = rotate([old], now=1100.0, overlap_seconds=60)
    assert (turn.record.scopes, turn.record.project, turn.record.name) == (old.scopes, "p1", "ci")
    assert turn.record.expires_at == 1600.0
    [changed] = turn.changed
    assert find(old_key, changed, 1159.9) is changed
    assert find(turn.key, turn.record, 1159.9) is turn.record
    assert refused(lambda: find(old_key, changed, 1160.0)).rule == "expired"


def test_an_overlap_lengthens_no_life() -> None:
    _, old = new(lifetime_seconds=10)
    assert rotate([old], now=1005.0, overlap_seconds=60).changed[0].expires_at == 1010.0


def test_without_an_overlap_the_old_key_ends_at_once() -> None:
    key, old = new()
    [changed] = rotate([old], now=1005.0, overlap_seconds=0).changed
    assert refused(lambda: find(key, changed, 1005.0)).rule == "expired"


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 100)), max_size=8))
def test_never_are_more_than_two_keys_of_a_name_valid(turns: list[tuple[float, float]]) -> None:
    records = {record.id: record for record in [new()[1]]}
    now = 1000.0
    for pause, overlap in turns:
        now += pause
        turn = rotate(list(records.values()), now=now, overlap_seconds=overlap)
        records |= {record.id: record for record in (*turn.changed, turn.record)}
        assert 1 <= sum(record.is_valid(now) for record in records.values()) <= 2
        assert records[turn.record.id].is_valid(now)


@pytest.mark.parametrize(
    ("records", "overlap", "message"),
    [
        ([], 1, "keys: there is no valid key to rotate; issue one"),
        ([new(lifetime_seconds=1)[1]], 1, "keys: there is no valid key to rotate; issue one"),
        ([new()[1], new(name="cd")[1]], 1, "keys: only keys of one tenant and one name are rotated together"),
        ([new()[1], new(tenant="b")[1]], 1, "keys: only keys of one tenant and one name are rotated together"),
        ([new()[1]], -1, "keys: overlap_seconds must be 0 or more, not -1"),
    ],
)
def test_a_rotation_that_makes_no_sense_is_refused(records: list[KeyRecord], overlap: float, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rotate(records, now=1500.0, overlap_seconds=overlap)
    assert caught.value.message == message
