"""Rows against a JSON Schema with `jsonschema`, the reference implementation, which takes what jsonschema-rs does not.

It is some hundred times slower. SECURITY: it retrieves nothing (the registry has the drafts and the schema only), and
what takes more than linear time on hostile rows is replaced: patterns are matched in bounded time (`patterns`), unique
items are found by their hashes (`unique`), and every keyword looks at the clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs
import referencing.jsonschema
from jsonschema import Draft3Validator, FormatChecker, validators
from jsonschema.exceptions import ValidationError

from ..errors import OutputError
from .dialects import Dialect, Path, root_uri
from .explanations import VALUE
from .patterns import Budget, PatternTimeError, compile_pattern, current_budget, time_refusal
from .unique import all_differ
from .values import counted_from, is_datetime, pointer, refusal, short_repr, shorten, unchecked

_Check = Callable[[Any, Any, Any, Any], "Iterator[ValidationError] | None"]
_SECONDS: Final = 60.0
_regex = jsonschema_rs.Draft202012Validator({"format": "regex"}, validate_formats=True)


class ReferenceEngine:
    """One schema for the slower way; usable from any thread."""

    def __init__(self, definition: dict[str, Any], dialect: Dialect, *, whole_list: bool) -> None:
        cls = validators.validator_for({"$schema": dialect.uri})
        self._whole_list = whole_list
        self._validator = _bounded(cls)(
            definition, registry=_registry(definition, dialect), format_checker=_formats(cls.FORMAT_CHECKER)
        )

    @staticmethod
    def budget() -> Budget:
        """What the rows of one list may take."""
        return Budget(seconds=_SECONDS)

    def check(self, rows: list[Any], first: int, budget: Budget) -> None:
        """Raises: OutputError: for the first value that is refused; `first` is the index of the first row."""
        with budget.for_rows(len(rows)):
            try:
                if self._whole_list:
                    self._check(rows, rows, first, ())
                else:
                    for index, row in enumerate(rows):
                        self._check(row, rows, first, (index,))
            except PatternTimeError as error:
                raise time_refusal(error, rows, first) from None

    def _check(self, instance: Any, rows: list[Any], first: int, where: Path) -> None:
        at = pointer(counted_from(first, where))
        try:
            error = next(self._validator.iter_errors(instance), None)
        except PatternTimeError:
            raise
        except RecursionError:
            raise unchecked(at, "depth", instance, "it, or the schema, is too deep") from None
        except (ValueError, ArithmeticError) as error:
            # Such as an integer that no float holds, for "divisibleBy".
            if error is current_budget().stopped:
                raise
            raise unchecked(at, "json", instance, str(error)) from None
        if error is not None:
            raise _output_error(error, (*where, *error.absolute_path), rows, first)


def draft_03_errors(definition: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """What draft-03 has against a schema, for each mistake its path and the reason."""
    for error in _bounded(Draft3Validator)(Draft3Validator.META_SCHEMA).iter_errors(definition):
        yield tuple(error.absolute_path), shorten(_explain(error), 300)


def _registry(definition: dict[str, Any], dialect: Dialect) -> referencing.jsonschema.SchemaRegistry:
    specification = referencing.jsonschema.specification_with(dialect.uri)
    resource = specification.create_resource(definition)
    registry: referencing.jsonschema.SchemaRegistry = referencing.Registry().with_resource(
        root_uri(definition, dialect), resource
    )
    return registry


def _formats(defaults: FormatChecker) -> FormatChecker:
    checker = FormatChecker(())
    checker.checkers = {
        **defaults.checkers,
        "date-time": (lambda value: not isinstance(value, str) or is_datetime(value), ()),
        "regex": (_regex.is_valid, ()),
    }
    return checker


@cache
def _bounded(cls: Any) -> Any:
    """The validator class with every keyword bounded in time."""
    extend: Callable[..., Any] = validators.extend
    replaced = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
        "anyOf": _any_of,
        "oneOf": _one_of,
    }
    if cls is Draft3Validator:
        replaced["type"] = _type_of_draft_03
    timed = {name: _timed(replaced.get(name, check)) for name, check in cls.VALIDATORS.items()}
    return extend(cls, timed)


def _timed(check: _Check) -> _Check:
    def timed(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        current_budget().check()
        yield from check(validator, value, instance, schema) or ()

    return timed


def _pattern(_validator: Any, text: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not compile_pattern(text).search(instance):
        yield ValidationError(f"{VALUE} does not match {json.dumps(text, ensure_ascii=False)}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for text, subschema in patterns.items():
        search = compile_pattern(text).search
        for key, value in instance.items():
            if search(key):
                yield from validator.descend(value, subschema, path=key, schema_path=text)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    searches = [compile_pattern(text).search for text in schema.get("patternProperties", ())]
    properties = schema.get("properties", ())
    extras = [key for key in instance if key not in properties and not any(search(key) for search in searches)]
    if isinstance(allowed, dict):
        for key in extras:
            yield from validator.descend(instance[key], allowed, path=key)
    elif not allowed and extras:
        names = ", ".join(map(repr, extras[:10])) + ", ..." * (len(extras) > 10)
        yield ValidationError(f"Additional properties are not allowed ({names} {_was(extras)} unexpected)")


def _was(items: list[str]) -> str:
    return "was" if len(items) == 1 else "were"


def _unique_items(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list) and not all_differ(instance, current_budget().check):
        yield ValidationError(f"{VALUE} has non-unique elements")


# SECURITY: the library's own gather every error of every branch, each with the text of its value.
def _any_of(validator: Any, branches: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not any(_fits(validator, branch, instance) for branch in branches):
        yield ValidationError(f"{VALUE} is not valid under any of the given schemas")


def _one_of(validator: Any, branches: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    fitting = list(islice((branch for branch in branches if _fits(validator, branch, instance)), 2))
    if not fitting:
        yield from _any_of(validator, (), instance, schema)
    elif len(fitting) > 1:
        yield ValidationError(f"{VALUE} is valid under more than one of the given schemas")


def _type_of_draft_03(validator: Any, types: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    types = types if isinstance(types, list) else [types]
    for kind in types:
        if _fits(validator, kind, instance) if isinstance(kind, dict) else validator.is_type(instance, kind):
            return
    names = (repr(kind["name"] if isinstance(kind, dict) and "name" in kind else kind) for kind in types)
    yield ValidationError(f"{VALUE} is not of type {', '.join(names)}")


def _fits(validator: Any, schema: Any, instance: Any) -> bool:
    return next(validator.descend(instance, schema), None) is None


def _output_error(error: ValidationError, path: Path, rows: list[Any], first: int) -> OutputError:
    value: Any = rows
    for length, step in enumerate(path):
        if isinstance(value, dict) and step not in value:
            # draft-03 reports a missing property where it should be.
            path = path[:length]
            break
        value = value[step]
    rule = str(error.validator or "false")
    where = pointer(counted_from(first, path))
    return refusal(where, rule, value, f"{shorten(_explain(error), 500)}, got {short_repr(value)}")


def _explain(error: ValidationError) -> str:
    """The library's words with the value left out: they begin with its whole text."""
    if not error.validator:
        return f"{VALUE} is not allowed"
    if error.message.startswith(VALUE):
        return error.message
    try:
        shown = repr(error.instance)
    except (RecursionError, ValueError):
        return f"{VALUE} does not fit {error.validator!r}"
    return VALUE + error.message.removeprefix(shown) if error.message.startswith(shown) else error.message
