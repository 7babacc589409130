"""The line of code that mends a refused output.

Loaded before the snapshot and looked at only when an output is refused. Every line was run by a test.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .origin import Origin

_MAX_COLUMNS = 12
_MAX_PARSED_CHARS = 1 << 20
_INFINITIES = 'float("inf"), float("-inf")'


def instead_of_value(value: object, origin: Origin) -> str:
    """What to write instead of returning `value`, which is no list."""
    text = origin.returned or "rows"
    if value is None:
        return "return []` when there are no rows, or `return rows"
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            return f'return {_with_index(value, origin.returned or "df")}.to_dict("records")'
        if isinstance(value, pandas.Series):
            return f'return {_series_as_frame(value, origin.returned or "series")}.to_dict("records")'
        if isinstance(value, pandas.core.groupby.GroupBy):
            return f'return {text}.size().reset_index(name="count").to_dict("records")'
    if inspect.isawaitable(value):
        return f"return await {text}"
    if isinstance(value, dict):
        return _instead_of_dict(value, origin)
    if isinstance(value, str | bytes | bytearray):
        return _instead_of_text(value, origin)
    if hasattr(type(value), "__aiter__"):
        return f"return [row async for row in {text}]"
    if isinstance(value, Mapping):
        return f"return [dict({text})]"
    if _is_array(value):
        return _instead_of_array(value, text, origin)
    if _name(value) == "Response" and hasattr(value, "json"):
        return f"return {text}.json()"
    if hasattr(type(value), "__iter__"):
        return _instead_of_iterable(value, origin)
    if inspect.isgeneratorfunction(value):
        return f"return list({text}())"
    if inspect.iscoroutinefunction(value):
        return f"return await {text}()"
    if inspect.isroutine(value) or isinstance(value, type):
        return f"return {text}()"
    return f"return [{_as_dict(value, text)}]"


def instead_of_rows(rows: Sequence[object], index: int, origin: Origin) -> str:
    """What to write where the row at `index` is no dict."""
    row = rows[index]
    text = origin.returned or "rows"
    if row is None:
        return f"return [row for row in {text} if row is not None]"
    if inspect.isawaitable(row):
        return f"return await gather(*{text})"
    if origin.frame is not None and origin.uses_pandas and not _is_single(row):
        return f'return {origin.frame}.to_dict("records")'
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and isinstance(row, pandas.DataFrame):
        return f'return [row for frame in {text} for row in frame.to_dict("records")]'
    if all(isinstance(part, list | tuple) and part and all(isinstance(item, dict) for item in part) for part in rows):
        # What several pages, or `gather`, gave.
        return f"return [row for part in {text} for row in part]"
    if type(row) is tuple and len(row) == 2:
        if isinstance(row[1], dict):
            return f"return [row for _, row in {text}]"
        if pandas is not None and isinstance(row[1], pandas.Series):
            return f"return [row.to_dict() for _, row in {text}]"
        if pandas is not None and isinstance(row[1], pandas.DataFrame):
            return f'return [row for _, frame in {text} for row in frame.to_dict("records")]'
    made = _as_dict(row, "row")
    if any(isinstance(other, dict) for other in rows[:index]):
        made = f"row if isinstance(row, dict) else {made}"
    return f"return [{made} for row in {text}]"


def instead_of_key(keys: Collection[object], is_row: bool, origin: Origin) -> str:
    """What to write where one of `keys`, of a row or of a dict within, is no text."""
    if not is_row:
        return "{str(key): value for key, value in inner.items()}"
    frame = origin.frame
    if not origin.uses_pandas or frame is None:
        made = "str(key)"
        if origin.uses_pandas and any(isinstance(key, tuple) for key in keys):
            made = f'"_".join(map(str, key)) if isinstance(key, tuple) else {made}'
        return f"return [{{{made}: value for key, value in row.items()}} for row in {origin.returned or 'rows'}]"
    joined = '"_".join(filter(None, map(str, name)))'
    if all(isinstance(key, tuple) for key in keys):
        names = f"[{joined} for name in {{}}.columns]"
    elif any(isinstance(key, tuple) for key in keys):
        names = f"[{joined} if isinstance(name, tuple) else str(name) for name in {{}}.columns]"
    else:
        names = "{}.columns.map(str)"
    if frame.isidentifier() and origin.is_made_there:
        return f"{frame}.columns = {names.format(frame)}"
    return f'return {frame}.pipe(lambda df: df.set_axis({names.format("df")}, axis=1)).to_dict("records")'


def instead_of_infinity(is_in_row: bool, origin: Origin) -> str:
    """What to write where a number is infinite, in a row itself or deeper."""
    if is_in_row and origin.uses_pandas and origin.frame is not None:
        replaced = f"{origin.frame}.replace([{_INFINITIES}], None)"
        can_be_set = origin.frame.isidentifier() and origin.is_made_there
        return f"{origin.frame} = {replaced}" if can_be_set else f'return {replaced}.to_dict("records")'
    mended = f"None if value in ({_INFINITIES}) else value"
    if not is_in_row:
        return mended
    return f"return [{{key: {mended} for key, value in row.items()}} for row in {origin.returned or 'rows'}]"


def instead_of_cell(value: object, key: str, origin: Origin) -> str:
    """What to write where a value of a row has no JSON form; nothing where it is a part of the value that has none."""
    if isinstance(value, dict | list | tuple):
        return ""
    name = json.dumps(key, ensure_ascii=False)
    if origin.uses_pandas and origin.frame is not None and origin.frame.isidentifier() and origin.is_made_there:
        return f"{origin.frame}[{name}] = {origin.frame}[{name}].map(lambda value: {_as_json(value, 'value')})"
    return f"return [{{**row, {name}: {_as_json(value, f'row[{name}]')}}} for row in {origin.returned or 'rows'}]"


def _as_json(value: object, text: str) -> str:
    """An expression with a JSON form, for a value that has none and whose own expression is `text`."""
    kind = type(value)
    if kind.__module__.startswith("pandas.") and hasattr(value, "to_dict") and hasattr(value, "columns"):
        return f'{text}.to_dict("records")'
    if kind.__module__.startswith("pandas.") and hasattr(value, "tolist"):
        return f"{text}.tolist()"
    if inspect.isawaitable(value):
        return f"await {text}"
    if isinstance(value, str):
        return f'{text}.encode("utf-8", "replace").decode()'
    if isinstance(value, int):
        return f"hex({text})"
    if hasattr(kind, "getvalue"):
        return f"{text}.getvalue()"
    if _name(value) == "Response" and hasattr(kind, "json"):
        return f"{text}.json()"
    if hasattr(kind, "__aiter__"):
        return f"[item async for item in {text}]"
    if hasattr(kind, "__iter__"):
        return f"dict({text})" if isinstance(value, Mapping) else f"list({text})"
    if hasattr(kind, "numerator"):
        return f"int({text})" if kind.__module__ == "numpy" else f"float({text})"
    # The fields of a library's objects are objects again.
    is_own = kind.__module__ == "__main__" and _has_fields(value) and not callable(value)
    return f"vars({text})" if is_own else f"str({text})"


def _instead_of_dict(value: dict[Any, Any], origin: Origin) -> str:
    inner = list(value.values())
    if inner and origin.frame is not None and origin.uses_pandas:
        if all(isinstance(item, dict) for item in inner):
            is_numbered = list(inner[0]) == list(range(len(inner[0])))
            frame = origin.frame if is_numbered else f"{origin.frame}.reset_index()"
            return f'return {frame}.to_dict("records")'
        if all(isinstance(item, list | dict) for item in inner) or _is_series_dict(inner):
            return f'return {origin.frame}.to_dict("records")'
    text = origin.returned or "row"
    if inner and all(isinstance(item, dict) for item in inner):
        return f"return list({text}.values())"
    if not all(isinstance(key, str) for key in value):
        return f'return [{{"key": key, "value": value}} for key, value in {text}.items()]'
    return f"return [{text}]"


def _is_series_dict(items: Sequence[object]) -> bool:
    """`to_dict("series")`."""
    return all(type(item).__module__.startswith("pandas.") and hasattr(item, "tolist") for item in items)


def _instead_of_text(value: str | bytes | bytearray, origin: Origin) -> str:
    if origin.frame is not None and origin.uses_pandas:
        return f'return {origin.frame}.to_dict("records")'
    if origin.dumped is not None:
        return f"return {origin.dumped}"
    parsed = _parsed(value)
    text = origin.returned or "text"
    if isinstance(parsed, list):
        return f"return json.loads({text})"
    if isinstance(parsed, dict):
        return f"return [json.loads({text})]"
    return f'return [{{"text": {text}}}]'


def _parsed(value: str | bytes | bytearray) -> object:
    try:
        return json.loads(value) if len(value) <= _MAX_PARSED_CHARS else None
    except (ValueError, RecursionError):
        return None


def _instead_of_array(value: Any, text: str, origin: Origin) -> str:
    if origin.frame is not None and origin.uses_pandas and value.ndim == 2:
        return f'return {origin.frame}.to_dict("records")'
    if value.dtype.names:
        return f"return [dict(zip({text}.dtype.names, row)) for row in {text}.tolist()]"
    if value.ndim == 0:
        return f'return [{{"value": {text}.item()}}]'
    if value.ndim == 1:
        return f'return [{{"value": value}} for value in {text}.tolist()]'
    return f"return [{_zipped(value.shape[1], 'row')} for row in {text}.tolist()]"


def _instead_of_iterable(value: Any, origin: Origin) -> str:
    text = origin.returned or "rows"
    if isinstance(value, types.GeneratorType) and _name(value) == "generator":
        if getattr(value, "__name__", "") in ("iterrows", "itertuples") and origin.frame is not None:
            return f'return {origin.frame}.to_dict("records")'
        return f"return list({text})"
    if isinstance(value, map) and origin.frame is not None and origin.uses_pandas:
        return f'return {origin.frame}.to_dict("records")'
    if isinstance(value, zip | enumerate):
        return f'return [{{f"column{{n}}": item for n, item in enumerate(row, 1)}} for row in {text}]'
    if not isinstance(value, Collection) or hasattr(type(value), "__next__"):
        return f"return list({text})"
    items = list(value)
    if not items or all(isinstance(item, dict) for item in items):
        return f"return list({text})"
    index = next(index for index, item in enumerate(items) if not isinstance(item, dict))
    return instead_of_rows(items, index, origin)


def _as_dict(value: Any, text: str) -> str:
    """An expression that makes a dict of `value`, whose own expression is `text`."""
    if isinstance(value, Mapping):
        return f"dict({text})"
    if callable(getattr(type(value), "_asdict", None)):
        return f"{text}._asdict()"
    if type(value).__module__.startswith("pandas.") and callable(getattr(value, "to_dict", None)):
        named = all(isinstance(key, str) for key in value.index)
        return f"{text}.to_dict()" if named else f"{text}.rename(str).to_dict()"
    if _is_array(value):
        return _zipped(len(value), f"{text}.tolist()") if value.ndim == 1 else f'{{"value": {text}.tolist()}}'
    if isinstance(value, list | tuple):
        return _zipped(len(value), text)
    if isinstance(value, str | bytes | bytearray) and isinstance(_parsed(value), dict):
        return f"json.loads({text})"
    if isinstance(value, set | frozenset):
        return f'{{"value": list({text})}}'
    if _name(value) == "Response" and hasattr(value, "json"):
        return f"{text}.json()"
    if _is_single(value):
        return f'{{"value": {text}}}'
    if _has_fields(value):
        return f"vars({text})"
    return f'{{"value": str({text})}}'


def _has_fields(value: object) -> bool:
    """Whether `vars` of it would be a row with something in it."""
    fields = getattr(value, "__dict__", None)
    return isinstance(fields, dict) and bool(fields)


def _zipped(count: int, text: str) -> str:
    if not 0 < count <= _MAX_COLUMNS:
        return f'{{f"column{{n}}": item for n, item in enumerate({text}, 1)}}'
    names = ", ".join(f'"column{number}"' for number in range(1, count + 1))
    return f"dict(zip([{names}], {text}))"


def _is_single(value: object) -> bool:
    """Whether it is one value of a row rather than a row."""
    return (
        value is None
        or isinstance(value, str | bytes | bytearray | int | float | complex)
        or hasattr(value, "isoformat")
        or (hasattr(value, "item") and not hasattr(type(value), "__iter__"))
    )


def _is_array(value: object) -> bool:
    numpy: Any = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _name(value: object) -> str:
    return type(value).__name__


def _with_index(frame: Any, text: str) -> str:
    """The frame, with its index among the columns if that has a name."""
    names = [name for name in frame.index.names if name is not None]
    return f"{text}.reset_index()" if names and not set(names) & set(frame.columns) else text


def _series_as_frame(series: Any, text: str) -> str:
    """An expression that makes a frame of a Series, with texts as names of its columns."""
    index_names = list(series.index.names)
    if series.index.equals(_range_index(series)) and index_names == [None]:
        return f"{text}.to_frame()" if isinstance(series.name, str) else f'{text}.to_frame("value")'
    if any(name is not None and not isinstance(name, str) for name in index_names):
        names = [f"key{number}" for number in range(1, len(index_names) + 1)] if len(index_names) > 1 else "key"
        text = f"{text}.rename_axis({json.dumps(names)})"
        index_names = [None]
    if isinstance(series.name, str) and series.name not in index_names:
        return f"{text}.reset_index()"
    name: str = next(name for name in ("value", "value_", "result") if name not in index_names)
    return f'{text}.reset_index(name="{name}")'


def _range_index(series: Any) -> Any:
    pandas: Any = sys.modules["pandas"]
    return pandas.RangeIndex(len(series))
