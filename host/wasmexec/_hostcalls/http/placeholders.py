"""Placeholders: what a statement holds of a secret that is bound to hosts."""

from __future__ import annotations

import random
import secrets as randomness
import string
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ...secret import Secret

_LETTERS = string.ascii_letters + string.digits
_PREFIX = "placeholder-"
_LEAST_RANDOM = 16
"""Characters; a value too short for prefix and these gets a placeholder of random characters only."""


class Placeholder(NamedTuple):
    """A secret and the token that stands for it in one execution.

    Both have the same length: exchanging one for the other in a response changes no length that the server announced.
    """

    token: str
    secret: Secret
    name: str = ""

    @property
    def also_in(self) -> tuple[str, ...]:
        """Where the value may stand besides headers."""
        return tuple(self.secret.also_in)


def make_placeholders(secrets: Mapping[str, object], key: bytes | None = None) -> dict[str, Placeholder]:
    """A fresh placeholder for each `Secret` among the secrets; one value has one placeholder.

    With `key` they are the same in every execution under it, as long as names and lengths are.
    """
    by_value: dict[str, str] = {}
    made = {}
    for name, secret in secrets.items():
        if isinstance(secret, Secret):
            choose = (
                randomness.choice
                if key is None
                else random.Random(key + str(name).encode("utf-8", "surrogatepass")).choice
            )
            token = by_value.setdefault(secret.value, _token(len(secret.value), choose))
            made[name] = Placeholder(token, secret, name)
    return made


def _token(length: int, choose: Callable[[str], str]) -> str:
    prefix = _PREFIX if length >= len(_PREFIX) + _LEAST_RANDOM else ""
    return prefix + "".join(choose(_LETTERS) for _ in range(length - len(prefix)))
