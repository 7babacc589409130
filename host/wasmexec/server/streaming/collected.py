"""`CollectedBatch`: a batch whose answer is kept, and therefore there as a whole before anybody gets any of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

from ..problems import ProblemError
from .batch import Batch, Item, lines_of

if TYPE_CHECKING:
    from ..runs.run import Run
    from ..runs.runs import Runs

MOST_BYTES: Final = 16 * 1024**2
"""Of the answers of one batch: with more its other lines are refused."""
MOST_TENANT_BYTES: Final = 64 * 1024**2
"""Of those of all batches of a tenant that are under way."""
MOST_TOGETHER_BYTES: Final = 256 * 1024**2
"""Of those of all tenants."""


class Collected:
    """What answers of batches under way take, by tenant."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def add(self, tenant: str, size: int) -> None:
        """So many bytes more."""
        self._sizes[tenant] = self._sizes.get(tenant, 0) + size

    def drop(self, tenant: str, size: int) -> None:
        """So many bytes less."""
        left = self._sizes.pop(tenant, 0) - size
        if left > 0:
            self._sizes[tenant] = left

    def refuse_full(self, tenant: str, own: int) -> None:
        """Return if a batch of a tenant whose answers have `own` bytes so far may have one more.

        Raises:
            ProblemError: 413, or 429 if there is room later.
        """
        if own > MOST_BYTES:
            raise ProblemError(
                413, "batch.answer_bytes", f"the answers of a batch with an Idempotency-Key have {own:,} bytes so far, "
                f"and no line is begun with more than {MOST_BYTES:,}", value=MOST_BYTES, used=own, changed_by="nobody",
            )  # fmt: skip
        used, together = self._sizes.get(tenant, 0), sum(self._sizes.values())
        if used <= MOST_TENANT_BYTES and together <= MOST_TOGETHER_BYTES:
            return
        is_tenant = used > MOST_TENANT_BYTES
        value = MOST_TENANT_BYTES if is_tenant else MOST_TOGETHER_BYTES
        raise ProblemError(
            429, "batch.answer_bytes", f"answers of batches with an Idempotency-Key take more than {value:,} bytes",
            value=value, used=used if is_tenant else together, changed_by="nobody", retry_after_seconds=1,
        )  # fmt: skip


class CollectedBatch:
    """One batch of a tenant; `admit` as for `Batch`. When the server is asked to end, its other lines are refused.

    Nothing of it is left to be done: who asks again gets this answer.
    """

    def __init__(self, tenant: str, admit: Callable[[Item, bytes], Run], runs: Runs, collected: Collected) -> None:
        self._tenant = tenant
        self._collected = collected
        self._admit_line = admit
        self._batch = Batch(self._admit, runs)
        self._pieces: list[bytes] = []
        self._size = 0

    async def answer(self, body: bytes, most_line_bytes: int) -> bytes:
        """Every line of the answer, once the last run has ended."""
        self._batch.begin(lines_of(_whole(body), most_line_bytes))
        try:
            async for piece in self._batch.answers():
                self._pieces.append(piece)
                self._size += len(piece)
                self._collected.add(self._tenant, len(piece))
            return b"".join(self._pieces)
        finally:
            self._batch.close()
            self._collected.drop(self._tenant, self._size)

    def _admit(self, item: Item, line: bytes) -> Run:
        """Raises: ProblemError: there is no room for another answer, or as `admit`."""
        self._collected.refuse_full(self._tenant, self._size)
        return self._admit_line(item, line)


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body
