"""Rows against a JSON Schema with jsonschema-rs.

`format` is asserted (the standard leaves that to the implementation), with one widening: "date-time" also takes a date
and time without offset, because that is what a naive `datetime` or `Timestamp` becomes. Unknown formats are ignored.

SECURITY: nothing is ever retrieved (`offline`), and the library sees patterns of the linear-time kind only
(`RegexOptions`); others are matched in bounded time (`patterns`), as a keyword of ours or by name (`property_names`).
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import jsonschema_rs
import orjson

from ..errors import OutputError, SchemaError
from . import advice
from .advice import Fix
from .alternatives import reference_to, without_trees
from .dialects import Dialect, Path, patterns_of, root_uri, subschemas
from .explanations import OWN, VALUE, explain
from .interruption import look
from .long_values import LongValues
from .patterns import Budget, PatternTimeError, compile_pattern, current_budget, time_refusal
from .property_names import Matching, TooManyNamesError, linear_patterns, matching_names, names_in
from .rust_explainer import Explainer, Explanation
from .unique import all_differ
from .values import counted_from, is_datetime, pointer, refusal, short_repr, shorten, size_of, unchecked

_TOO_DEEP: Final = "Recursion limit reached"
_MOST_AT_ONCE: Final = 16_384
"""Values, of which an error may hold copies."""
_MOST_WORK: Final = 4_000
"""Of one call: schemas that look at a value, a tenth to a fifth of a microsecond each.

Another execution waits for several such calls: its run takes the interpreter's lock some fifteen times.
"""
_LIGHT: Final = 8
"""Up to so many schemas look at a value, rows are not counted value by value, which takes longer than the check."""
_SHORT_TEXT: Final = 64 * 1024
"""Bytes of JSON, times the schemas that look at a value, whose values are looked at in a millisecond or two."""
_SHORT_ROW: Final = 384 * 1024
"""The same of one row, which takes long to be looked at in parts: less than ten milliseconds."""


class RustEngine:
    """One schema, compiled; usable from any thread."""

    def __init__(
        self, definition: dict[str, Any], dialect: Dialect, *, is_list: bool, in_pieces: bool, names: tuple[str, ...],
        applied: int = 1, growth: int = 1,
    ) -> None:  # fmt: skip
        """`is_list`: it is for a list of rows, `in_pieces`: which can be checked in parts.

        `names` are the properties of a row, to tell what was meant; `applied` and `growth` are the schema's `burden`.

        Raises: SchemaError: the library does not take the schema.
        """
        self._definition = definition
        self._dialect = dialect
        self._is_list = is_list
        self._whole_list = not in_pieces
        self._names = names
        self._applied = applied
        self._growth = growth
        nodes = [node for _, node in subschemas(definition)]
        patterns = [(at[0], text) for node in nodes for at, text in patterns_of(node)]
        hard = [(keyword, text) for keyword, text in patterns if not compile_pattern(text).is_linear]
        self._is_plain = not hard and not any(node.get("uniqueItems") is True for node in nodes)
        hard_names: Matching = {text: frozenset() for keyword, text in hard if keyword == "patternProperties"}
        # Replaced as a whole, so that threads need no lock.
        self._compiled = self._compile(hard_names)

    @staticmethod
    def budget() -> Budget:
        """What the rows of one list may take."""
        return Budget()

    def check(self, rows: list[Any], first: int, budget: Budget) -> None:
        """Raises: OutputError: for the first value that is refused; `first` is the index of the first row."""
        if self._is_plain:
            self._validate(self._compiled, rows, first)
            return
        with budget.for_rows(len(rows)):
            try:
                compiled = self._compiled_for(rows, budget)
                self._validate(compiled, rows, first)
            except TooManyNamesError as error:
                if len(rows) == 1 or self._whole_list:
                    raise refusal("", "pattern", rows, str(error)) from None
                # A row before the one that has too many may be refused.
                halves = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
                self.check(halves[0], first, budget)
                self.check(halves[1], first + len(halves[0]), budget)
            except PatternTimeError as error:
                raise time_refusal(error, rows, first) from None
            except OutputError:
                if budget.overrun is None and budget.stopped is None:
                    raise
            if budget.stopped is not None:
                raise budget.stopped
            # SECURITY: also where the rows seem to fit: below a "not", a pattern that was given up looks like a match.
            if budget.overrun is not None:
                raise time_refusal(budget.overrun, rows, first)

    def _compiled_for(self, rows: list[Any], budget: Budget) -> _Compiled:
        compiled = self._compiled
        if not compiled.names:
            return compiled
        found = matching_names(names_in(rows), compiled.names, budget.names)
        if found is not compiled.names:
            compiled = self._compiled = self._compile(found)
        return compiled

    def _validate(self, compiled: _Compiled, rows: list[Any], first: int) -> None:
        # Whether they fit costs nothing but time: an error has a copy of the value that it refuses.
        if self._fit(compiled, rows):
            return
        at: list[int] = []
        if not self._whole_list:
            index = next((index for index, row in enumerate(rows) if not self._fit(compiled, [row])), None)
            if index is None:
                return
            rows, first = [rows[index]], first + index
            at = [first]
        look()
        try:
            explanation = compiled.explainer().explain(rows)
        except ValueError as error:
            # The library gives up beyond 254 levels; anything else it refuses did not come from a JSON parser.
            rule = "depth" if str(error) == _TOO_DEEP else "json"
            raise unchecked(pointer(at), rule, rows[0] if at else rows, str(error)) from None
        if explanation is None:
            value = rows[0] if at else rows
            raise refusal(pointer(at), "schema", value, f"{VALUE} does not fit the schema, got {short_repr(value)}")
        raise _output_error(explanation, rows, first, self._names)

    def _fit(self, compiled: _Compiled, rows: list[Any]) -> bool:
        """Whether rows fit, looked at in parts where many schemas look at each of their values."""
        if self._applied <= _LIGHT:
            size = 0 if self._whole_list else _text_bytes(rows)
            most = _SHORT_TEXT // self._applied
            if size > most and len(rows) > 1:
                return all(self._fit(compiled, part) for part in _in_parts(rows, -(-size // most)))
            if size <= _SHORT_ROW // self._applied:
                return _fits(compiled.validator, rows)
        most = self._most_at_once()
        if self._whole_list:
            return _fits(compiled.validator, rows) if size_of(rows, most + 1) <= most else compiled.fits_in_parts(rows)
        piece: list[Any] = []
        left = most
        for row in rows:
            size = size_of(row, most + 1)
            if size > most:
                if not compiled.fits_in_parts([row]):
                    return False
                continue
            if size > left:
                look()
                if not _fits(compiled.validator, piece):
                    return False
                piece, left = [], most
            piece.append(row)
            left -= size
        return _fits(compiled.validator, piece)

    def _most_at_once(self) -> int:
        """How many values the library may look at in one call."""
        return max(1, min(_MOST_WORK // self._applied, _MOST_AT_ONCE))

    def _compile(self, names: Matching) -> _Compiled:
        definition = self._definition if self._is_plain else _with_bounded(self._definition, linear_patterns(names))
        compiler = _Compiler(self._dialect, self._is_list, has_bounded=not self._is_plain, growth=self._growth)
        try:
            return _Compiled(names, compiler.rows(definition), definition, compiler)
        except jsonschema_rs.ValidationError as error:
            raise SchemaError(pointer(error.instance_path), explain(error)) from None
        except ValueError as error:
            raise SchemaError("", str(error)) from None


@dataclass(slots=True)
class _Compiled:
    """A schema ready for rows whose names match as in `names`; what explains its refusals is made when first needed."""

    names: Matching
    validator: jsonschema_rs.Validator
    _definition: dict[str, Any]
    _compiler: _Compiler
    _explainer: Explainer | None = None

    def fits_in_parts(self, rows: list[Any]) -> bool:
        """Whether rows fit, with what the library is asked in one call bounded, if that can be."""
        fits = self.explainer().fits(rows)
        return _fits(self.validator, rows) if fits is None else fits

    def explainer(self) -> Explainer:
        if self._explainer is None:
            changed, alternatives, is_complete = without_trees(self._definition, self._compiler.dialect)
            whole = self._compiler.rows(changed) if alternatives else self.validator
            self._explainer = Explainer(
                whole, alternatives, partial(self._compiler.part, changed), self._compiler.long_values(changed),
                is_list=self._compiler.is_list, is_complete=is_complete, growth=self._compiler.growth,
            )  # fmt: skip
        return self._explainer


@dataclass(frozen=True, slots=True)
class _Compiler:
    dialect: Dialect
    is_list: bool
    has_bounded: bool
    growth: int

    def rows(self, definition: dict[str, Any]) -> jsonschema_rs.Validator:
        """A validator for lists of rows."""
        if self.is_list:
            return self._validator(definition, None)
        # A resource of its own, so that its "#/$defs/..." keep their meaning.
        uri, registry = self._registered(definition)
        return self._validator({"type": "array", "items": {"$ref": uri}}, registry)

    def part(self, definition: dict[str, Any], path: Path) -> jsonschema_rs.Validator:
        """A validator for what a place in the schema is for."""
        uri, registry = self._registered(definition)
        return self._validator({"$ref": reference_to(uri, path)}, registry)

    def long_values(self, definition: dict[str, Any]) -> LongValues:
        """For values of so many values that they are looked at in parts."""
        uri, registry = self._registered(definition)
        return LongValues(
            definition, partial(reference_to, uri), partial(self._validator, registry=registry), self.dialect,
            most_values=_MOST_AT_ONCE, most_work=_MOST_WORK,
        )  # fmt: skip

    def _registered(self, definition: dict[str, Any]) -> tuple[str, jsonschema_rs.Registry]:
        uri = root_uri(definition, self.dialect)
        return uri, jsonschema_rs.Registry([(uri, definition)], draft=self.dialect.number)

    def _validator(
        self, definition: dict[str, Any], registry: jsonschema_rs.Registry | None
    ) -> jsonschema_rs.Validator:
        assert self.dialect.validator is not None
        return self.dialect.validator(
            definition, registry=registry, validate_formats=True, formats={"date-time": is_datetime},
            offline=True, mask=VALUE, pattern_options=jsonschema_rs.RegexOptions(),
            keywords=_KEYWORDS if self.has_bounded else {},
        )  # fmt: skip


def _fits(validator: jsonschema_rs.Validator, rows: list[Any]) -> bool:
    try:
        return validator.is_valid(rows)
    except ValueError:
        return False


def _text_bytes(rows: list[Any]) -> int:
    """How long their JSON is, or a large number if there are integers in it that take the writer long."""
    try:
        return len(orjson.dumps(rows))
    except orjson.JSONEncodeError:
        return sys.maxsize


def _in_parts(rows: list[Any], number: int) -> Iterator[list[Any]]:
    """Some rows in so many parts, or one for each."""
    step = max(1, len(rows) // number)
    for start in range(0, len(rows), step):
        look()
        yield rows[start : start + step]


class _BoundedPattern:
    """Stands for `pattern` where the pattern is not of the linear-time kind."""

    def __init__(self, _parent: object, value: str, _path: object) -> None:
        self._pattern = compile_pattern(value)

    def validate(self, instance: object) -> None:
        """Raises: ValueError: the instance is a text that does not match, or matching took too long."""
        if isinstance(instance, str) and not self._pattern.search(instance):
            raise ValueError(f"{VALUE} does not match {json.dumps(self._pattern.text, ensure_ascii=False)}")


class _BoundedUnique:
    """Stands for `uniqueItems`."""

    def __init__(self, _parent: object, _value: bool, _path: object) -> None:
        pass

    def validate(self, instance: object) -> None:
        """Raises: ValueError: the instance is a list with two items that are equal, or there is no more time."""
        if isinstance(instance, list) and not all_differ(instance, current_budget().check):
            raise ValueError(f"{VALUE} has non-unique elements")


_KEYWORDS: Final = {f"{OWN}pattern": _BoundedPattern, f"{OWN}uniqueItems": _BoundedUnique}


def _with_bounded(definition: dict[str, Any], replaced: dict[str, str]) -> dict[str, Any]:
    """The definition with the patterns that the library must not see under our keyword, or replaced by name."""
    changed = copy.deepcopy(definition)
    for _, node in list(subschemas(changed)):
        for keyword, text in list(patterns_of(node)):
            if keyword == ("pattern",) and not compile_pattern(text).is_linear:
                node[f"{OWN}pattern"] = node.pop("pattern")
        if node.get("uniqueItems") is True:
            node[f"{OWN}uniqueItems"] = node.pop("uniqueItems")
        if isinstance(node.get("patternProperties"), dict):
            node["patternProperties"] = {
                replaced.get(text, text): value for text, value in node["patternProperties"].items()
            }
    return changed


def _output_error(explanation: Explanation, rows: list[Any], first: int, names: tuple[str, ...]) -> OutputError:
    path = explanation.path
    value: object = rows
    for step in path:
        value = value[step]  # type: ignore[index]
    rule = explanation.rule.removeprefix(OWN)
    reason = f"{shorten(explanation.reason, 500)}, got {short_repr(value)}"
    return refusal(pointer(counted_from(first, path)), rule, value, reason, _fix(explanation, value, names))


def _fix(explanation: Explanation, value: object, names: tuple[str, ...]) -> str:
    """What to write, for what is wrong with a row itself; `names` are its properties in the schema."""
    kind, path = explanation.kind, explanation.path
    fix: Fix | None = None
    if len(path) == 1 and isinstance(value, dict):
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
            fix = advice.of_missing(kind.property, "", value, names)
        elif isinstance(kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
            fix = advice.of_extra(kind.unexpected[0], value, names)
    elif len(path) == 2 and isinstance(path[1], str):
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.Type):
            fix = advice.of_json_type(kind.types, value, path[1])
        elif isinstance(kind, jsonschema_rs.ValidationErrorKind.Format) and kind.format == "date-time":
            fix = advice.of_type("datetime", value, path[1], False)
    return "" if fix is None else str(fix)
