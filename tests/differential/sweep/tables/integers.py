"""Functions that give positions, counts and codes, each result multiplied, shifted and summed so that 32 bits wrap."""

from collections.abc import Iterator

from tests.differential.sweep.tables import lists

FOLLOW_UPS = lists.section("integers", "FOLLOW_UPS")
SMALL = "np.array([3, 1, 2, 1, 7])"
GRID = "np.array([[1, 0, 2], [0, 3, 0]])"
NUMPY = lists.section("integers", "NUMPY")
FRAME = "pd.DataFrame({'k': list('abac'), 'v': [4, 2, 2, 9], 'x': [0.5, np.nan, 1.5, 2.0]})"
SERIES = "pd.Series([4, 2, 2, 9])"
PANDAS = lists.section("integers", "PANDAS")


def expressions() -> Iterator[tuple[str, str]]:
    """The tables of this file."""
    for kind, results in (("numpy integers", NUMPY), ("pandas integers", PANDAS)):
        for result in results:
            for follow_up in FOLLOW_UPS:
                yield kind, follow_up.format(f"({result})")
