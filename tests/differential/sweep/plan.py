"""All expressions of the sweep, by kind, always in the same order."""

from collections.abc import Iterator

from tests.differential.sweep.tables import (
    hashes,
    integers,
    large_sizes,
    numpy_names,
    pandas_names,
    standard_library,
    times,
)

TABLES = (numpy_names, integers, large_sizes, pandas_names, hashes, standard_library, times)


def expressions() -> Iterator[tuple[str, str]]:
    """Kind and text of each expression, each text once."""
    seen = set()
    for table in TABLES:
        for kind, text in table.expressions():
            if text not in seen:
                seen.add(text)
                yield kind, text
