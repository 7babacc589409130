"""Brings back a fault that the guest had: merging by several keys counts in 32 bits, and wraps in silence.

Where an index integer has 32 bits, the labels of the keys have 32 bits, and so has their product with a stride, because
numpy takes the type of the array, not that of the scalar. This gives the labels to pandas' own arithmetic as they were.
"""

import importlib
from typing import Any

merge: Any = importlib.import_module("pandas.core.reshape.merge")
get_join_keys = merge._get_join_keys


def get_join_keys_of_32_bits(llab: list[Any], rlab: list[Any], shape: tuple[int, ...], sort: bool) -> Any:
    """`_get_join_keys`, whose first levels are counted in 32 bits."""
    return get_join_keys(
        [llab[0], *(label.astype("i4") for label in llab[1:])],
        [rlab[0], *(label.astype("i4") for label in rlab[1:])],
        shape,
        sort,
    )


merge._get_join_keys = get_join_keys_of_32_bits
