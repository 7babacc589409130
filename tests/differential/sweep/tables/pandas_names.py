"""Every public function of pandas, every method of its classes and accessors: the names are pandas' own."""

from collections.abc import Iterator

from tests.differential.sweep.tables import lists
from tests.differential.sweep.tables.numpy_names import public_names, resolve

OWNERS = lists.sections("pandas_objects")
"""Objects of each class."""
ARGUMENTS = lists.section("pandas_names", "ARGUMENTS")
MODULES = ("pd", "pd.api.types", "pd.tseries.offsets", "pd.util")
INPUTS = lists.section("pandas_names", "INPUTS")
LEFT_OUT = frozenset(lists.section("pandas_names", "LEFT_OUT"))
"""Names that are not called."""


def expressions() -> Iterator[tuple[str, str]]:
    """The tables of this file."""
    for module in MODULES:
        for name in public_names(module):
            if name in LEFT_OUT or not callable(getattr(resolve(module), name)):
                continue
            for arguments in INPUTS:
                yield "pandas functions", f"{module}.{name}({arguments})"
    for owner, objects in OWNERS.items():
        short = owner.rpartition(".")[2]
        for name in public_names(owner):
            if name in LEFT_OUT:
                continue
            for made in objects:
                if not callable(getattr(resolve(owner), name)):
                    yield f"pandas {short}", f"{made}.{name}"
                    continue
                for arguments in ARGUMENTS:
                    yield f"pandas {short}", f"{made}.{name}({arguments})"
