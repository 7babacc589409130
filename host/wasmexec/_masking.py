"""Hiding secrets in everything a person may read: logs, errors, tracebacks, warnings."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"
_SHORTEST_ENCODED = 4


class Masker:
    """Replaces every occurrence of every secret by `***`, longest first.

    A secret is found as it is, with any of its characters percent-encoded, JSON- or Python-escaped or as an HTML
    entity (in any mixture, as clients escape different sets), and inside Base64 text at all three alignments.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        values = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        encoded = {form for value in values for form in base64_forms(value)}
        literals = [re.escape(form) for form in sorted(encoded, key=len, reverse=True)]
        forms = [*map(_any_escaping, values), *literals]
        self._pattern = re.compile("|".join(forms)) if forms else None

    def __call__(self, text: str) -> str:
        """`text` without the secrets."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def error(self, error: BaseException) -> None:
        """Mask the arguments and every text field of one of our errors, in place."""
        if self._pattern is None:
            return
        error.args = tuple(self(item) if isinstance(item, str) else item for item in error.args)
        for name, value in vars(error).items():
            if isinstance(value, str):
                setattr(error, name, self(value))


def _any_escaping(secret: str) -> str:
    return "".join(map(_character, secret))


def _character(character: str) -> str:
    utf8 = character.encode("utf-8", "surrogatepass")
    utf16 = character.encode("utf-16-be", "surrogatepass")
    percent = "".join(f"%{_any_case(f'{byte:02x}')}" for byte in utf8)
    json_units = "".join(rf"\\u{_any_case(utf16[i : i + 2].hex())}" for i in range(0, len(utf16), 2))
    forms = [re.escape(character), percent, json_units]
    short = {json.dumps(character)[1:-1], repr(character)[1:-1], ascii(character)[1:-1], html.escape(character)}
    if character in "\"'/\\":
        short.add(f"\\{character}")
    if character == " ":
        short.add("+")
    if len(utf8) > 1:
        short.add(repr(utf8)[2:-1])
    forms += [re.escape(form) for form in sorted(short - {character}, key=len, reverse=True)]
    # A doubled backslash must be tried before the single one, or half of it would be left over.
    return f"(?:{'|'.join(sorted(set(forms), key=len, reverse=True))})" if len(set(forms)) > 1 else forms[0]


def _any_case(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def base64_forms(secret: str) -> set[str]:
    """The characters of Base64 text that depend on the secret alone, wherever it starts in the encoded bytes."""
    data = secret.encode("utf-8", "surrogatepass")
    forms = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data).decode()
        first = (before * 8 + 5) // 6
        last = (before + len(data)) * 8 // 6
        core = text[first:last]
        if len(core) >= _SHORTEST_ENCODED:
            forms |= {core, core.replace("+", "-").replace("/", "_"), quote(core, safe="")}
    return forms
