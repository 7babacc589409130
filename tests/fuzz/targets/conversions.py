"""Values on their way into the real guest and out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.fuzz.draw import Draw
from tests.fuzz.targets.guest import check_result
from tests.fuzz.targets.rows import same
from tests.fuzz.targets.statements import real_executor

from wasmexec import Limits, Prepared, Status
from wasmexec.rows.json_text import decode, encode

_LIMITS = Limits(wall_seconds=20, cpu_seconds=10, output_bytes=200_000, log_bytes=20_000, log_records=50)
_STATEMENTS: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = (
    ("return [{'v': INPUT_DATA, 'c': DATA_CHECKPOINT}]", lambda value, checkpoint: {"v": value, "c": checkpoint}),
    ("return [{'v': repr(INPUT_DATA)}]", lambda value, checkpoint: {"v": repr(value)}),
    (
        "import json\nreturn [{'v': json.loads(json.dumps(INPUT_DATA)), 's': json.dumps(DATA_CHECKPOINT)}]",
        lambda value, checkpoint: {"v": value, "s": json.dumps(checkpoint)},
    ),
    (
        "log.info(repr(INPUT_DATA))\nreturn [{'v': str(INPUT_DATA) == f'{INPUT_DATA}'}]",
        lambda value, checkpoint: {"v": True},
    ),
    (
        "return [{'v': [float(n) if isinstance(n, (int, float)) else None for n in INPUT_DATA]}]",
        lambda value, checkpoint: {"v": [float(item) if isinstance(item, (int, float)) else None for item in value]},
    ),
    (
        "return [{'v': [str(n).upper()[::-1] for n in INPUT_DATA]}]",
        lambda value, checkpoint: {"v": [str(item).upper()[::-1] for item in value]},
    ),
)  # fmt: skip


@cache
def _prepared(index: int) -> Prepared:
    return real_executor().prepare(_STATEMENTS[index][0], limits=_LIMITS)


def conversions(data: bytes) -> None:
    """What a statement makes of its inputs is what the native interpreter makes of them, to the last bit."""
    draw = Draw(data)
    index = draw.below(len(_STATEMENTS))
    value: Any = [draw.value(4) for _ in range(draw.below(5))]
    checkpoint = draw.value(2)
    given: Any = value
    if draw.chance(3):
        given = json.dumps(value, ensure_ascii=draw.chance(2)).encode()
    elif draw.chance(6):
        given = draw.json().encode("utf-8", "replace")
        try:
            value = decode(given)
        except ValueError:
            value = None
        if type(value) is not list:
            result = _prepared(0).run(input_data=given)
            check_result(result, _STATEMENTS[0][0])
            assert result.status in (Status.FINISHED, Status.INPUT_REFUSED, Status.OUTPUT_REFUSED), result.error
            return
    result = _prepared(index).run(input_data=given, checkpoint=checkpoint)
    check_result(result, _STATEMENTS[index][0])
    try:
        expected = _STATEMENTS[index][1](value, checkpoint)
    except (OverflowError, ValueError):
        assert result.status is Status.STATEMENT_RAISED, f"{result.status}: {result.error}"
        return
    try:
        assert len(encode(expected)) < _LIMITS.output_bytes
    except ValueError:
        assert result.status is Status.OUTPUT_REFUSED, f"{result.status}: {result.error}"
        return
    assert result.status is Status.FINISHED, f"{result.status}: {result.error} for {given!r}"
    assert same(result.rows, [expected]), f"{result.rows!r} instead of {expected!r}"
