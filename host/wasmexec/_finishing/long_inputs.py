"""`LongInputs`: long rows of inputs, parsed and checked in a process of ours."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping

from .._masking.masker import Masker
from ..errors import OutputLimitError
from ..isolation import give_memory_back
from ..rows.block import RowBlock
from ..rows.json_text import ROWS_DEPTH
from ..rows.long_rows import LongRowsError, TakenRows, TooManyValuesError
from ..rows.steps import LookUp, in_list
from ..schema import Schema
from .acceptance import FILLED_BYTES, Bounds, NotJsonError, allowed_memory
from .finisher import Finisher
from .process import ChildLostError, TooMuchMemoryError

_MORE_TIMES = 8
"""So many times the bytes of an input more memory than for an output: it is counted as it comes and as it goes."""


class LongInputs:
    """What `rows.intake` hands over what is long to; see `LongRows`. Close it: it keeps processes."""

    def __init__(self) -> None:
        self._finisher = Finisher(lambda: True)

    def accept(
        self, text: bytes, schema: Schema, kinds: Mapping[str, str], masker: Masker | None, look_up: LookUp,
        *, keep: bool = True,
    ) -> TakenRows:  # fmt: skip
        """The rows as the schema accepts them; see `LongRows.accept`."""
        bounds = Bounds(2 * len(text) + FILLED_BYTES, sys.maxsize, sys.maxsize, ROWS_DEPTH)
        view = memoryview(text)
        most_memory = allowed_memory(view, schema, bounds) + _MORE_TIMES * len(text)
        del text  # The process has it.
        give_memory_back()

        def charge(_seconds: float) -> None:
            look_up()

        try:
            accepted = self._finisher.accept_elsewhere(
                view, schema, masker, bounds, charge, kinds=kinds, most_memory=most_memory, keep=keep
            )
        except NotJsonError as error:
            raise ValueError(str(error)) from None
        except (TooMuchMemoryError, OutputLimitError):
            raise TooManyValuesError from None
        except (ChildLostError, OSError) as error:
            raise LongRowsError(f"the process that checks long rows is lost: {error}") from None
        return TakenRows(_array(accepted.block, look_up) if keep else b"", accepted.number, accepted.warnings)

    def close(self) -> None:
        """End the processes."""
        self._finisher.close()


def _array(block: RowBlock, look_up: LookUp) -> bytes:
    """The rows as one JSON array."""
    if len(block) == 1:
        with memoryview(block.lines) as line:
            return in_list(line[:-1])
    out = io.BytesIO()
    out.write(b"[")
    for number, piece in enumerate(block.pieces()):
        look_up()
        out.write(b"," if number else b"")
        out.write(piece[:-1].replace(b"\n", b","))
    out.write(b"]")
    return out.getvalue()
