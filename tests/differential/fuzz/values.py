"""Arguments as texts: arrays of every dtype, columns, frames, and few rows with huge logical sizes."""

from tests.differential.fuzz.draw import Draw, Maker

INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
FLOATS = ("f2", "f4", "f8")
COMPLEX = ("c8", "c16")
TIMES = ("M8[ns]", "M8[D]", "M8[s]", "m8[ns]", "m8[h]", "m8[ms]")
ALL = (*INTEGERS, *FLOATS, *COMPLEX, "?", "U3", "S2", "O", *TIMES)
EDGES = (2**15, 2**16, 2**31, 2**32)
_SPECIAL = (
    "np.nan",
    "np.inf",
    "-np.inf",
    "-0.0",
    "0.0",
    "1e-310",
    "1e308",
    "65504.0",
    "0.1",
    "1e-8",
    "3.0",
    "2.5",
    "-1.5",
)
_TEXTS = ("''", "'a'", "'b'", "'ab'", "'B'", "'é'", "'a b'", "'10'", "' x'", "'nan'", "'ß'", "'a,b'", "'2001-02-03'")
_OBJECTS = ("None", "1", "'a'", "2.5", "True", "np.nan", "'b'", "-3", "2**70", "(1, 2)")


def integer(draw: Draw, dtype: str = "i8") -> int:
    """A whole number that the dtype holds, small, near an edge of a size or the dtype's own."""
    bits = 8 * int(dtype[1])
    half: int = 2 ** (bits - 1)
    low, high = (0, 2 * half - 1) if dtype[0] == "u" else (-half, half - 1)
    choice = draw.integer(0, 9)
    if choice < 6:
        number = draw.integer(-5, 9)
    elif choice < 8:
        number = draw.pick((*EDGES, 255, 127, 2**53)) + draw.integer(-2, 2)
    else:
        number = draw.pick((low, high, low + 1, high - 1))
    return min(max(number, low), high)


def real(draw: Draw) -> str:
    """A float, one in four of them special."""
    return (
        draw.pick(_SPECIAL)
        if draw.maybe(0.25)
        else f"{draw.real():.17g}"
        if draw.maybe(0.5)
        else f"{draw.integer(-9, 9)}.0"
    )


def item(draw: Draw, dtype: str) -> str:
    """One item of an array of this dtype."""
    kind = dtype[0]
    if kind in "iu":
        return str(integer(draw, dtype))
    if kind == "f":
        return real(draw)
    if kind == "c":
        return f"complex({real(draw)}, {real(draw)})"
    if kind == "?":
        return draw.pick(("True", "False"))
    if kind == "M":
        return draw.pick(
            ("'2001-02-03'", "'1970-01-01'", "'NaT'", "'1969-12-31'", "'2020-02-29'", "'2262-04-11'", "'1700-01-01'")
        )
    if kind == "m":
        return draw.pick(("0", "1", "-1", "36", "'NaT'", "86400", "25"))
    if kind == "S":
        return draw.pick(("b''", "b'a'", "b'ab'", "b'b'"))
    return draw.pick(_TEXTS if kind == "U" else _OBJECTS)


def items(draw: Draw, dtype: str, count: int) -> str:
    """A list of so many items; some of them come again."""
    found = [item(draw, dtype) for _ in range(count)]
    if count > 2 and draw.maybe(0.3):
        found = [draw.pick(found[:2]) for _ in found]
    if dtype[0] == "m":
        found = [text if text == "'NaT'" else f"np.timedelta64({text}, 'h')" for text in found]
    return f"[{', '.join(found)}]"


def line(draw: Draw, dtype: str) -> str:
    """A one-dimensional array; one in four is a view with other strides or byte order."""
    text = f"np.array({items(draw, dtype, draw.length)}, '{dtype}')"
    if draw.maybe(0.75):
        return text
    return draw.pick(
        (
            "{}[::-1]",
            "np.repeat({}, 2)[::2]",
            "np.asfortranarray(np.stack([{}] * 2))[0]",
            "{}[:]",
            "{}.newbyteorder().byteswap()",
        )
    ).format(text)


def plane(draw: Draw, dtype: str) -> str:
    """A two-dimensional array."""
    rows = ", ".join(items(draw, dtype, draw.length) for _ in range(draw.rows))
    text = f"np.array([{rows}], '{dtype}')"
    return (
        text
        if draw.maybe(0.6)
        else draw.pick(("{}.T", "np.asfortranarray({})", "{}[:, ::-1]", "{}[::-1]", "{}[None]")).format(text)
    )


def array(draw: Draw, dtypes: tuple[str, ...] = ALL) -> str:
    """An array of one of these dtypes: a line, a plane, a single item or an empty one."""
    dtype = draw.pick(dtypes)
    shape = draw.integer(0, 19)
    if shape < 13:
        return line(draw, dtype)
    if shape < 18:
        return plane(draw, dtype)
    return (
        f"np.array({items(draw, dtype, 1)}, '{dtype}')[0]" if shape < 19 else f"np.zeros((0, {draw.length}), '{dtype}')"
    )


def square(draw: Draw) -> str:
    """A matrix that is far from singular."""
    size = draw.integer(1, 4)
    rows = [[draw.integer(-4, 4) + (20 * (at == place)) for place in range(size)] for at in range(size)]
    return f"np.array({rows}, '{draw.pick(('f8', 'f8', 'f4', 'i8'))}')"


def moderate(draw: Draw) -> str:
    """Finite floats between -10 and 10: sums of them have a bound."""
    text = ", ".join(f"{draw.real():.17g}" for _ in range(draw.length))
    return f"np.array([{text}], '{draw.pick(('f8', 'f8', 'f4'))}')"


def broad(draw: Draw) -> str:
    """An array that is huge by its shape alone."""
    size = edge(draw)
    return draw.pick(
        (
            "np.broadcast_to(np.int8(3), {})",
            "np.broadcast_to(np.float64(3), (2, {}))",
            "np.broadcast_to(np.int16([1, 2]), ({}, 2))",
            "np.lib.stride_tricks.as_strided(np.array([7], 'i1'), ({},), (0,))",
        )
    ).format(size)


def edge(draw: Draw) -> str:
    """A size near 2**15, 2**16, 2**31 or 2**32, or one that is large in another way."""
    if draw.maybe(0.75):
        return str(draw.pick(EDGES) + draw.pick((-1, 0, 0, 1)))
    return str(draw.pick((50_000, 46_341, 3_000_000_000, 5 * 10**9, 2**40, 2**62)))


# --- pandas

_DTYPES = (
    "int64",
    "float64",
    "float64",
    "int32",
    "int8",
    "uint8",
    "uint64",
    "float32",
    "bool",
    "Int64",
    "Int8",
    "UInt32",
    "Float64",
    "Float32",
    "boolean",
)
_COLUMNS = (
    "numbers",
    "numbers",
    "numbers",
    "text",
    "text",
    "string",
    "category",
    "dates",
    "zoned",
    "spans",
    "periods",
    "objects",
    "floats",
    "floats",
)


def numbers(draw: Draw) -> str:
    """A list of small numbers with the dtype that pandas shall give them: two arguments of a Series."""
    dtype = draw.pick(_DTYPES)
    count = draw.length
    if dtype in ("bool", "boolean"):
        found = [draw.pick(("True", "False")) for _ in range(count)]
    elif dtype.lower().startswith("float"):
        found = [real(draw) for _ in range(count)]
    elif dtype.lower().startswith("uint"):
        found = [str(draw.integer(0, 9)) for _ in range(count)]
    else:
        found = [
            str(integer(draw, "i8") if dtype == "int64" and draw.maybe(0.3) else draw.integer(-5, 9))
            for _ in range(count)
        ]
    if dtype[0] in "IUFb" and dtype != "bool":
        found = ["pd.NA" if draw.maybe(0.2) else text for text in found]
    return f"[{', '.join(found)}], dtype='{dtype}'"


def column(draw: Draw, kinds: tuple[str, ...] = _COLUMNS) -> str:
    """The arguments of a Series of `draw.length` values: a list of them and mostly a dtype."""
    kind = draw.pick(kinds)
    count = range(draw.length)
    if kind == "numbers":
        return numbers(draw)
    if kind == "floats":
        return f"[{', '.join(real(draw) for _ in count)}]"
    if kind == "keys":
        return f"[{', '.join(str(draw.integer(0, 3)) for _ in count)}]"
    if kind in ("text", "string", "category"):
        missing = {"text": "None", "string": "pd.NA", "category": "None"}[kind]
        found = ", ".join(missing if draw.maybe(0.15) else draw.pick(_TEXTS) for _ in count)
        return f"[{found}], dtype='{'object' if kind == 'text' else kind}'"
    if kind == "objects":
        return f"[{', '.join(draw.pick(_OBJECTS) for _ in count)}], dtype=object"
    if kind in ("dates", "zoned"):
        zone = ", Europe/Berlin" if kind == "zoned" else ""
        found = ", ".join(
            draw.pick(
                (
                    "'2001-02-03'",
                    "'2001-03-25 01:30'",
                    "'1999-12-31 23:59:59.123456789'",
                    "None",
                    "'2020-02-29'",
                    "'2001-02-04'",
                )
            )
            for _ in count
        )
        return f"[{found}], dtype='datetime64[ns{zone}]'"
    if kind == "spans":
        found = ", ".join(draw.pick(("1", "-5", "86400", "None", "3600")) for _ in count)
        return f"[{found}], dtype='timedelta64[{draw.pick(('ns', 's'))}]'"
    return f"pd.period_range('2000-0{draw.integer(1, 9)}', periods={draw.length}, freq='{draw.pick(('M', 'D', 'Q'))}')"


def labels(draw: Draw) -> str:
    """An index of `draw.length` labels."""
    count = draw.length
    choice = draw.integer(0, 9)
    if choice < 4:
        return f"pd.RangeIndex({count})"
    if choice == 4:
        return f"pd.Index([{', '.join(draw.pick(_TEXTS) for _ in range(count))}], dtype=object, name='i')"
    if choice == 5:
        found = ", ".join(str(draw.integer(-3, 9)) for _ in range(count))
        return f"pd.Index([{found}], dtype='{draw.pick(('int64', 'int32', 'float64'))}')"
    if choice == 6:
        return f"pd.date_range('2001-03-24', periods={count}, freq='{draw.pick(('D', 'H', 'M', 'B', '7D'))}')"
    if choice == 7:
        return wide_index(draw)
    if choice == 8:
        return f"pd.Index([{', '.join(str(draw.integer(0, 9)) for _ in range(count))}])"
    return f"pd.CategoricalIndex([{', '.join(draw.pick(_TEXTS[:5]) for _ in range(count))}])"


def wide_index(draw: Draw, size: int | None = None) -> str:
    """A MultiIndex of few rows whose levels are long, and mostly unused."""
    count = draw.length if size is None else size
    levels = draw.pick((2, 2, 2, 3))
    sizes = [draw.pick((50_000, 50_000, 46_341, 65_536, 32_768, 3)) for _ in range(levels)]
    used = [[draw.pick((0, 1, 2, size - 1, size // 2)) for _ in range(draw.pick((2, 3)))] for size in sizes]
    codes = [[draw.pick(used[level]) for _ in range(count)] for level in range(levels)]
    names = [f"'{name}'" for name in "ijk"[:levels]]
    return f"pd.MultiIndex([{', '.join(f'range({size})' for size in sizes)}], {codes}, names=[{', '.join(names)}])"


def series(draw: Draw, kinds: tuple[str, ...] = _COLUMNS) -> str:
    """A Series."""
    index = f", index={labels(draw)}" if draw.maybe(0.4) else ""
    return f"pd.Series({column(draw, kinds)}{index}{draw.pick(('', ', name=' + repr('s')))})"


def frame(draw: Draw, kinds: tuple[str, ...] = _COLUMNS) -> str:
    """A DataFrame with the keys k and g and two or three columns of values, x, y and z."""
    named = {"k": "keys", "g": draw.pick(("keys", "text", "category"))}
    columns = [f"'{name}': pd.Series({column(draw, (kind,))})" for name, kind in named.items()]
    columns += [f"'{name}': pd.Series({column(draw, kinds)})" for name in ("x", "y", "z")[: draw.integer(2, 3)]]
    text = f"pd.DataFrame({{{', '.join(columns)}}})"
    return text if draw.maybe(0.6) else f"{text}.set_axis({labels(draw)})"


def _chosen(*items: str) -> Maker:
    return lambda draw: draw.pick(items)


TARGETS = (*INTEGERS, *FLOATS, *COMPLEX, "?", "U40", "S40", "O", *TIMES, "V4")
"""Of casts. A timedelta64 writes beyond a text that is too short for it: https://github.com/numpy/numpy/issues/31109"""
AGGREGATES = (
    "sum", "mean", "min", "max", "count", "size", "first", "last", "nunique", "std", "var", "median", "prod", "any",
    "all", "sem",
)  # fmt: skip
NUMERIC = (*INTEGERS, *FLOATS, *COMPLEX, "?")
REAL = (*INTEGERS, *FLOATS, "?")
NUMBERS = ("numbers", "floats", "numbers", "keys")
MAKERS: dict[str, Maker] = {
    "a": array,
    "num": lambda draw: array(draw, NUMERIC),
    "re": lambda draw: array(draw, REAL),
    "fl": lambda draw: array(draw, FLOATS),
    "int": lambda draw: array(draw, INTEGERS),
    "b": lambda draw: array(draw, ("?",)),
    "line": lambda draw: line(draw, draw.pick(ALL)),
    "rline": lambda draw: line(draw, draw.pick(REAL)),
    "iline": lambda draw: line(draw, draw.pick(INTEGERS)),
    "bline": lambda draw: line(draw, "?"),
    "time": lambda draw: array(draw, TIMES),
    "date": lambda draw: line(draw, "M8[D]"),
    "text": lambda draw: array(draw, ("U3", "S2", "U3")),
    "square": square,
    "mod": moderate,
    "broad": broad,
    "few": lambda draw: f"np.array([{', '.join(str(draw.integer(0, 6)) for _ in range(draw.length))}])",
    "dtype": lambda draw: f"'{draw.pick(TARGETS)}'",
    "ndtype": lambda draw: f"'{draw.pick(NUMERIC)}'",
    "axis": _chosen("None", "0", "-1", "1"),
    "ax": _chosen("0", "-1", "0", "1"),
    "n": lambda draw: str(draw.integer(-2, 6)),
    "p": lambda draw: str(draw.integer(1, 5)),
    "len": lambda draw: str(draw.length),
    "at": lambda draw: str(draw.integer(-draw.length, max(0, draw.length - 1))),
    "ats": lambda draw: str([draw.integer(-draw.length, max(0, draw.length - 1)) for _ in range(draw.integer(0, 4))]),
    "q": lambda draw: draw.pick(("0.5", "0.25", "0", "1", "[0.1, 0.9]", "0.333")),
    "N": edge,
    "scalar": lambda draw: draw.pick((str(integer(draw)), real(draw), "True", "2", "0")),
    "item": lambda draw: item(draw, draw.pick(ALL[:-6])),
    "bool": _chosen("True", "False"),
    "seed": lambda draw: str(draw.pick((draw.integer(0, 99), draw.integer(0, 2**32 - 1)))),
    "S": series,
    "SN": lambda draw: series(draw, NUMBERS),
    "SF": lambda draw: series(draw, ("floats",)),
    "SS": lambda draw: series(draw, ("text", "string")),
    "SD": lambda draw: series(draw, ("dates", "zoned")),
    "SC": lambda draw: series(draw, ("category",)),
    "D": frame,
    "DN": lambda draw: frame(draw, NUMBERS),
    "X": labels,
    "MI": wide_index,
    "MI5": lambda draw: wide_index(draw, 5),
    "col": _chosen("'k'", "'x'", "'y'", "'g'"),
    "cols": _chosen("['k']", "['k', 'g']", "['g', 'k']", "['x']", "['k', 'x', 'y']"),
    "agg": lambda draw: repr(draw.pick(AGGREGATES)),
    "how": _chosen("'inner'", "'left'", "'right'", "'outer'"),
    "freq": _chosen("'D'", "'2D'", "'H'", "'M'", "'MS'", "'W'", "'Q'", "'A'", "'B'", "'12H'", "'T'"),
    "label": lambda draw: draw.pick((str(draw.integer(0, 9)), "'a'", "'b'", "'2001-03-25'", "0.5")),
}  # fmt: skip
