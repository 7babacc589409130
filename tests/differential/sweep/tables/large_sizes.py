"""What is large by its logic and small in memory, near 2**15, 2**31 and 2**32: counts, positions, shapes, bounds."""

from collections.abc import Iterator

from tests.differential.sweep.tables import lists

EDGES = (15, 16, 31, 32, 33)
SIZES = (*(2**bits + off for bits in EDGES for off in (-1, 0, 1)), 3_000_000_000, 5 * 10**9, 2**40)
VIRTUAL = lists.section("large_sizes", "VIRTUAL")
OF_ARRAYS = lists.section("large_sizes", "OF_ARRAYS")
OF_SIZES = lists.section("large_sizes", "OF_SIZES")
SHORT_ONLY = lists.section("large_sizes", "SHORT_ONLY")
"""They make a real array of every number."""


def expressions() -> Iterator[tuple[str, str]]:
    """The tables of this file."""
    for size in SIZES:
        for text in OF_SIZES:
            if size < 2**20 or text not in SHORT_ONLY:
                yield "large sizes", text.format(n=size)
    for size in SIZES:
        for array in VIRTUAL:
            for text in OF_ARRAYS:
                yield "large arrays", text.replace("{}", array.format(n=size))
