"""Files and texts that others may have written: a typed error or the right value."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz.draw import Draw, mutated_json
from tests.fuzz.targets.rows import scratch_file
from tests.hostile_step_files import CASES, STEPS

from wasmexec import ConfigError, HttpExchange, Recording
from wasmexec.errors import ImageError
from wasmexec.image import read_manifest
from wasmexec.recording.check import check_recording
from wasmexec.recording.exchange import Operation
from wasmexec.step import Step, StepFileError
from wasmexec.step.cases import load_cases
from wasmexec.workers.recordings import TextRecorder, recording_of


@cache
def plain_recording() -> Any:
    """The text of a recording, decoded."""
    exchange = HttpExchange(
        method="GET", url="http://a.test/", status=200, response_body=b"recorded",
        extra={"operations": [["http.open", 5, 9, 1, "head", 4, False], ["http.read", 12, None, 0, "", 0, False]]},
    )  # fmt: skip
    recorder = TextRecorder()
    Recording(
        exchanges=(exchange,), strays=(Operation("http.read", 1, 1 << 40),), rows=b'[{"a":1}]', statement="return []",
        inputs=(b"[1]", None), status=200, error=None, log_sha256="0" * 64, image="core",
    ).give_to(recorder)  # fmt: skip
    return json.loads(recorder.text() or b"")


def recordings(data: bytes) -> None:
    """A text is a recording, which is written and read again as the same one, or a ConfigError."""
    draw = Draw(data)
    if draw.chance(12):
        _check_long_rows(draw)
        return
    content = mutated_json(draw, plain_recording()) if not draw.chance(5) else draw.value(5)
    try:
        found = recording_of(content)
    except ConfigError:
        return
    assert len(found.key) == 32
    assert found.ending in ("done", "wall", "cpu", "cancelled")
    assert type(found.ended) is type(found.clock_start) is type(found.clock_step) is int
    assert all(blob is None or type(blob) is bytes for blob in found.inputs)
    recorder = TextRecorder()
    assert found.give_to(recorder)
    text = recorder.text()
    assert text is not None
    assert recording_of(json.loads(text)) == found
    _check_fields(draw, found)
    _check_bytes(draw)


def _check_bytes(draw: Draw) -> None:
    """Bytes that are no text are written, too, and read as they were; a text that says otherwise is refused."""
    recording = Recording(inputs=(b"\xff" + draw.binary(9), None), rows=b"[]")
    recorder = TextRecorder()
    assert recorder.text() is None
    assert recording.give_to(recorder)
    content = json.loads(recorder.text() or b"")
    assert recording_of(content) == recording
    odd = draw.choose(["!", "a", None, 1, "aGk=\n", "\ud800"])
    for part in content["parts"]:
        if "base64" in part:
            part["base64"] = odd
    with contextlib.suppress(ConfigError):
        recording_of(content)


def _check_fields(draw: Draw, recording: Recording) -> None:
    """One with a field of another kind is refused, or it can still be kept."""
    odd: tuple[Any, ...] = (
        None, 1, -1, 2**70, True, 0.5, "x", "\ud800", "x" * 2000, b"", b"x" * 32, b"[1]", [], (), [1], (b"x",), {},
        {"a": object()}, ([1],), ((1, 2),), (("a",),), object(),
    )  # fmt: skip
    of_exchange = recording.exchanges and draw.chance(2)
    part: Any = recording.exchanges[0] if of_exchange else recording
    name = draw.choose([field.name for field in dataclasses.fields(part)])
    changed = dataclasses.replace(part, **{name: draw.choose(odd)})
    if of_exchange:
        changed = dataclasses.replace(recording, exchanges=(changed,))
    try:
        check_recording(changed)
    except ConfigError:
        return
    recorder = TextRecorder()
    assert not changed.give_to(recorder) or recorder.text() is not None


def _check_long_rows(draw: Draw) -> None:
    """Rows that are looked at in pieces are refused where they would be as a whole."""
    row = b'{"a":"%b"}' % (b"x" * draw.choose([10, 30_000, 70_000, 1_200_000]))
    rows = [
        row if not draw.chance(8) else draw.choose([b"[]", b"1", b"{}", b'{"a":', b""]) for _ in range(draw.below(6))
    ]
    between = b"," if not draw.chance(8) else draw.choose([b" ,\n", b";", b",,", b""])
    text = (
        draw.choose([b"[", b"[", b"[", b" [", b"x"]) + between.join(rows) + draw.choose([b"]", b"]", b"]", b"", b"]]"])
    )
    try:
        value = json.loads(text)
        expected = type(value) is list and all(type(item) is dict for item in value)
    except ValueError:
        expected = False
    try:
        check_recording(Recording(rows=text))
    except ConfigError:
        assert not expected, f"refused: {text[:80]!r}"
    else:
        # A row that is too long to be read is taken as it is.
        assert expected or len(row) > 1024**2, f"accepted: {text[:80]!r}"


def manifests(data: bytes) -> None:
    """A manifest is an image with files that are there and as long as it says, or an ImageError."""
    draw = Draw(data)
    code = scratch_file("some.cwasm", b"code")
    elsewhere = code.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "some.cwasm").write_bytes(b"code")
    file = {"file": code.name, "size": 4, "sha256": hashlib.sha256(b"code").hexdigest()}
    manifest = {
        "name": "some", "stamp": "0" * 16, "wasmtime": "", "channel_address": 1024, "modules": ["a"],
        "packages": {"a": "1"}, "built": "", "build_seconds": 0, "code": file, "memory": dict(file),
    }  # fmt: skip
    value = mutated_json(draw, manifest)
    if draw.chance(4):
        name = draw.choose([str(elsewhere / code.name), f"elsewhere/{code.name}", "..", "", ".", "a\0", "x" * 300])
        value = {**manifest, "code": {**file, "file": name}}
        if draw.chance(2):
            value["code"]["size"] = (
                (code.parent / name.replace("\0", "")[:90]).stat().st_size if name in ("..", ".") else 4
            )
    text = json.dumps(value).encode() if not draw.chance(5) else draw.rest()
    for odd in ("1e400", "NaN", "99999999999999999999999", "1e25") if draw.chance(3) else ():
        text = text.replace(b"1024", odd.encode())
    path = scratch_file("some.json", text)
    try:
        image = read_manifest(path)
        image.verify_hash()
    except ImageError:
        return
    for part in (image.code, image.memory):
        assert part.path.parent == path.parent
        assert part.path.stat().st_size == part.size


def step_files(data: bytes) -> None:
    """A step file and its cases are read, or all that is wrong with them has a place in them."""
    draw = Draw(data)
    sources = (STEPS, CASES)[draw.below(2)]
    made = sources[draw.choose(list(sources))](1 + draw.below(4))
    content = made if isinstance(made, bytes) else made.encode("utf-8", "replace")
    edited = bytearray(content)
    for _ in range(draw.below(5)):
        at = draw.below(len(edited) + 1)
        edited[at : at + draw.below(8)] = draw.binary(6)
    step = scratch_file("a.step.yaml", bytes(edited) if sources is STEPS else _step())
    cases = step.with_name("a.tests.yaml")
    if sources is CASES:
        scratch_file(cases.name, bytes(edited))
    else:
        cases.unlink(missing_ok=True)
    _read_step(step, bytes(edited))


def _step() -> bytes:
    return b'statement: |\n  return [{"a": 1}]\noutput_schema:\n  - {name: a, type: integer}\n'


def _read_step(step: Path, text: bytes) -> None:
    lines = len(text.decode("utf-8", "replace").splitlines()) + 2
    try:
        load_cases(step, Step.load(step).definition)
    except StepFileError as error:
        assert error.mistakes
        for mistake in error.mistakes:
            assert 1 <= mistake.line <= lines, mistake
            assert mistake.column >= 1
            assert len(mistake.message) < 3000
