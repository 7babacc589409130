"""JSON text with exact integers of any size: orjson where it can, the standard module where it must."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import orjson

_BIG_INTEGER = re.compile(rb"[0-9]{19}")


def encode(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """JSON text of a value; `default` makes something of what JSON does not have.

    Raises:
        TypeError: there is something in it that JSON does not have.
    """
    try:
        return orjson.dumps(value, default=default)
    except TypeError as error:
        if "64-bit" not in str(error):
            raise
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=default, separators=(",", ":")).encode()


def decode(text: bytes) -> Any:
    """The value of JSON text.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(text) if _BIG_INTEGER.search(text) else orjson.loads(text)
