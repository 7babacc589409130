"""Runs statements on native CPython 3.11 and prints their rows: the reference side of the differential tests.

Standard input: a JSON list of statement texts. Standard output: a JSON list of `{"rows": [...]}` or
`{"error": "Type: message"}`.
It shares no code with the guest on purpose: the conversion below is written from contract C5 alone.
"""

import ast
import asyncio
import base64
import datetime
import decimal
import json
import math
import sys
import warnings
from collections.abc import Callable
from typing import Any


def to_json(value: Any) -> Any:
    """The JSON value that contract C5 gives for `value`."""
    if value is None or type(value) in (bool, str):
        return value
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a row has a key that is not a string")
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal):
        return float(value) if decimal.Decimal(float(value)) == value else str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            raise ValueError("a number is not finite")
        return float(value)
    if isinstance(value, int):
        return int(value)
    if hasattr(value, "item"):
        return to_json(value.item())
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


async def sleep(seconds: float) -> None:
    """The statement's `sleep`."""
    await asyncio.sleep(seconds)


async def gather(*awaitables: Any) -> list[Any]:
    """The statement's `gather`."""
    return list(await asyncio.gather(*awaitables))


def run(statement: str) -> dict[str, Any]:
    """Run one statement as the body of an async function and return its rows or its error."""
    module = ast.parse("async def main(): pass")
    function = module.body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    function.body = ast.parse(statement, "<statement>").body
    scope: dict[str, Any] = {
        "sleep": sleep, "gather": gather, "INPUT_DATA": None, "DATA_CHECKPOINT": None, "__name__": "__main__",
    }  # fmt: skip
    exec(compile(ast.fix_missing_locations(module), "<statement>", "exec"), scope)
    main: Callable[[], Any] = scope["main"]
    try:
        return {"rows": to_json(asyncio.run(main()))}
    except Exception as error:  # whatever the program raises is its result
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    json.dump([run(text) for text in json.load(sys.stdin)], sys.stdout)
