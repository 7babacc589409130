"""What an error of jsonschema-rs says, in words of bounded length."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final

import jsonschema_rs

# What the library calls the value in its messages; the value itself follows in ours, shortened.
VALUE: Final = "the value"
# SECURITY: begins the keywords of ours; no schema can name it.
OWN: Final = f"wasmexec:{secrets.token_hex(16)}:"
_ALTERNATIVES: Final = (
    jsonschema_rs.ValidationErrorKind.AnyOf,
    jsonschema_rs.ValidationErrorKind.OneOfNotValid,
)


def explain(error: jsonschema_rs.ValidationError) -> str:
    """What the value breaks; for alternatives, what each branch wants."""
    kind = error.kind
    if isinstance(kind, _ALTERNATIVES):
        reasons = list(dict.fromkeys(branch[0].message for branch in kind.context if branch))
        more = f"; and {len(reasons) - 4} more" if len(reasons) > 4 else ""
        return f"{VALUE} fits no branch of {kind.name!r} ({'; '.join(reasons[:4])}{more})"
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.FalseSchema):
        return f"{VALUE} is not allowed"
    return error.message


def innermost(error: jsonschema_rs.ValidationError) -> Iterator[jsonschema_rs.ValidationError]:
    """The errors of the one alternative whose outside fits, if there is one; else the error itself."""
    depth = len(error.instance_path)
    kind = error.kind
    branches = kind.context if isinstance(kind, _ALTERNATIVES) else []
    fitting = [branch for branch in branches if branch and all(len(inner.instance_path) > depth for inner in branch)]
    if len(fitting) == 1:
        for inner in fitting[0]:
            yield from innermost(inner)
    else:
        yield error
