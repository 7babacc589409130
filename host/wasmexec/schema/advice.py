"""The line of code that mends a refused row: for rows as dicts, and for the pandas frame that they came from.

SECURITY: only names of columns and of the row's keys get into the lines, never a value, and only short ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from .similar import most_alike

_LONGEST_NAME: Final = 60
_MOST_NAMES: Final = 1000
_LONGEST_PARSED: Final = 400
_EXACT_FLOAT: Final = 2.0**53
_TRUE: Final = {"true": "true", "false": "true", "yes": "yes", "no": "yes", "y": "y", "n": "y", "on": "on", "off": "on"}
_DATES: Final = (
    "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y", "%m/%d/%y", "%d %b %Y",
    "%d %B %Y", "%b %d, %Y", "%B %d, %Y",
)  # fmt: skip
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
_FILLINGS: Final = {"text": '""', "integer": "0", "double": "0.0", "boolean": "False"}
_AFTER_FILLING: Final = {"integer": '.astype("Int64")', "boolean": '.astype("boolean")'}
_OF_JSON_TYPES: Final = {
    "string": "text", "integer": "integer", "number": "double", "boolean": "boolean", "object": "object",
    "array": "table",
}  # fmt: skip


class Fix(NamedTuple):
    """One change: a line for the list `rows`, a line for the frame `df`, and an expression for a nested `value`."""

    row: str
    frame: str
    nested: str = ""
    otherwise: str = ""

    def __str__(self) -> str:
        return f"write `{self.row}`, with pandas `{self.frame}`{self.otherwise}"

    @property
    def of_nested(self) -> str:
        """What to say of a value that is not in a row itself."""
        return f"write `{self.nested}`" if self.nested else ""


def of_type(kind: str, value: object, name: str, allow_null: bool) -> Fix | None:
    """How `value` becomes what a column of type `kind` takes, if that is plain; `@` stands for the value."""
    match kind, value:
        case "text", list() | dict():
            return _conversion(name, "json.dumps(@)", "@.map(json.dumps)")
        case "text", _:
            return _conversion(name, "None if @ is None else str(@)" if allow_null else "str(@)", '@.astype("string")')
        case "integer", bool():
            return _conversion(name, "int(@)", '@.astype("Int64")')
        case "integer", float() if abs(value) > _EXACT_FLOAT:
            return None
        case "integer", float():
            if value.is_integer():
                return _conversion(name, "int(@)", '@.astype("Int64")')
            return _conversion(name, "round(@)", '@.round().astype("Int64")')
        case "integer" | "double", str():
            return _from_number_text(kind, value, name)
        case "double", bool():
            return _conversion(name, "float(@)", "@.astype(float)")
        case "boolean", int() | float():
            return _conversion(name, "@ != 0", "@ != 0")
        case "boolean", str() if len(value) <= _LONGEST_PARSED and value.strip().lower() in _TRUE:
            yes = _TRUE[value.strip().lower()]
            return _conversion(name, f'@.strip().lower() == "{yes}"', f'@.str.strip().str.lower() == "{yes}"')
        case "datetime", int() | float() if not isinstance(value, bool):
            return _from_epoch(value, name)
        case "datetime", str():
            return _from_date_text(value, name)
        case "base64", str():
            return _conversion(name, "@.encode()", '@.str.encode("utf-8")')
        case "json" | "object" | "table", str() if _is_json(value, {"object": dict, "table": list}.get(kind, object)):
            return _conversion(name, "json.loads(@)", "@.map(json.loads)")
        case "object", [dict()]:
            return _conversion(name, "@[0]", "@.str[0]")
        case "table", dict():
            return _conversion(name, "[@]", "@.map(lambda value: [value])")
    return None


def of_json_type(types: Iterable[str], value: object, name: str) -> Fix | None:
    """`of_type` for the types that a JSON Schema names."""
    kinds = list(types)
    for kind in kinds:
        if kind in _OF_JSON_TYPES:
            if value is None:
                return of_null(_OF_JSON_TYPES[kind], name)
            return of_type(_OF_JSON_TYPES[kind], value, name, "null" in kinds)
    return None


def of_null(kind: str, name: str) -> Fix | None:
    """What to do with a null that a column does not allow."""
    key = _key(name)
    if key is None:
        return None
    otherwise = ", or let the column allow null"
    filling = _FILLINGS.get(kind)
    if filling is None:
        row = f"rows = [row for row in rows if row[{key}] is not None]"
        return Fix(row, f"df = df.dropna(subset=[{key}])", "", otherwise)
    row = f"for row in rows: row[{key}] = {filling} if row[{key}] is None else row[{key}]"
    return Fix(row, f"df[{key}] = df[{key}].fillna({filling}){_AFTER_FILLING.get(kind, '')}", "", otherwise)


def of_missing(name: str, kind: str, row: Mapping[str, object], known: Iterable[str]) -> Fix | None:
    """How a row gets a key that it lacks: one of its own that is written alike, or a value."""
    names = set(known)
    found = near(name, [key for key in row if key not in names])
    if found is not None:
        return renaming(found, name)
    key, filling = _key(name), _FILLINGS.get(kind)
    if key is None or filling is None:
        return None
    otherwise = ", or let the column allow null"
    return Fix(f"for row in rows: row[{key}] = {filling}", f"df[{key}] = {filling}", "", otherwise)


def of_extra(name: str, row: Mapping[str, object], known: Iterable[str]) -> Fix | None:
    """How a row loses a key that the schema has not: under the name that was meant, or altogether."""
    meant = near(name, [column for column in known if column not in row])
    if meant is not None:
        return renaming(name, meant)
    key = _key(name)
    return None if key is None else Fix(f"for row in rows: del row[{key}]", f"df = df.drop(columns=[{key}])")


def renaming(old: str, new: str) -> Fix | None:
    """A key under another name."""
    before, after = _key(old), _key(new)
    if before is None or after is None:
        return None
    return Fix(f"for row in rows: row[{after}] = row.pop({before})", f"df = df.rename(columns={{{before}: {after}}})")


def near(name: str, known: list[str]) -> str | None:
    """The one of `known` that differs in case, blanks and signs only, else the most alike."""
    if len(name) > 100:
        return None
    known = [other for other in known[:_MOST_NAMES] if len(other) <= 100]
    plain = _plain(name)
    same = next((other for other in known if _plain(other) == plain), None) if plain else None
    return same or most_alike(name, known)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _key(name: str) -> str | None:
    """The name as it is written in code; None if it is too long for a line."""
    return json.dumps(name, ensure_ascii=False) if len(name) <= _LONGEST_NAME and name.isprintable() else None


def _conversion(name: str, of_value: str, of_series: str) -> Fix | None:
    key = _key(name)
    if key is None:
        return None
    row = f"for row in rows: row[{key}] = " + f"row[{key}]".join(of_value.split("@"))
    return Fix(row, f"df[{key}] = " + f"df[{key}]".join(of_series.split("@")), of_value.replace("@", "value"))


def _from_number_text(kind: str, text: str, name: str) -> Fix | None:
    if len(text) > _LONGEST_PARSED:
        return None
    if kind == "integer":
        for clean, of_value, of_series in (
            (text, "@", "pd.to_numeric(@)"),
            (text.replace(",", ""), '@.replace(",", "")', 'pd.to_numeric(@.str.replace(",", ""))'),
        ):
            if _is_number(clean, int):
                return _conversion(name, f"int({of_value})", f'{of_series}.astype("Int64")')
            if _is_number(clean, float) and float(clean).is_integer():
                return _conversion(name, f"int(float({of_value}))", f'{of_series}.astype("Int64")')
        return None
    for clean, change in (
        (text, ""),
        (text.replace(",", "."), '.replace(",", ".")'),
        (text.replace(",", ""), '.replace(",", "")'),
    ):
        if _is_number(clean, float):
            return _conversion(name, f"float(@{change})", f"@{'.str' + change if change else ''}.astype(float)")
    return None


def _is_number(text: str, kind: type[int] | type[float]) -> bool:
    try:
        number = kind(text)
    except ValueError:
        return False
    return number - number == 0


def _from_epoch(value: float, name: str) -> Fix | None:
    unit, factor = ("s", "") if abs(value) < 1e11 else ("ms", " / 1000")
    if abs(value) > 1e14:
        return None
    of_value = f"datetime.datetime.fromtimestamp(@{factor}, datetime.timezone.utc)"
    return _conversion(name, of_value, f'pd.to_datetime(@, unit="{unit}")')


def _from_date_text(text: str, name: str) -> Fix | None:
    for date in _DATES if len(text) <= 40 else ():
        for time in _TIMES:
            form = date + time
            try:
                datetime.strptime(text, form)
            except ValueError:
                continue
            return _conversion(name, f'datetime.datetime.strptime(@, "{form}")', f'pd.to_datetime(@, format="{form}")')
    return None


def _is_json(text: str, kind: type) -> bool:
    try:
        return len(text) <= _LONGEST_PARSED and isinstance(json.loads(text), kind) and not _is_json_text(text)
    except (ValueError, RecursionError):
        return False


def _is_json_text(text: str) -> bool:
    """Whether it is the JSON of a text or of null, which no such column takes."""
    return text.lstrip()[:1] in ('"', "n")
