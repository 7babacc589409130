"""`Streams`: the answers that go on for as long as there is something to tell, counted by tenant while they live."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..problems import ProblemError
from ..quotas.refusals import check_count

if TYPE_CHECKING:
    from ..tenants.directory import Tenant


class Stream:
    """One of them; `is_closing`: the server is about to stop, and it is to end."""

    __slots__ = ("_wake", "is_closing", "tenant")

    def __init__(self, tenant: Tenant, wake: Callable[[], None]) -> None:
        self.tenant = tenant
        self.is_closing = False
        self._wake = wake

    def close(self) -> None:
        """Have it end by itself, soon."""
        self.is_closing = True
        self._wake()


class Streams:
    """All that are open."""

    def __init__(self) -> None:
        self._open: set[Stream] = set()

    def open(self, tenant: Tenant, wake: Callable[[], None]) -> Stream:
        """One more for a tenant, until `end`; `wake` has it look at `is_closing`.

        Raises:
            ProblemError: 429: the tenant has too many.
        """
        most = tenant.document.max_streams
        refusal = None if most is None else check_count("streams", tenant.streams, most)
        if refusal is not None:
            raise ProblemError.of(refusal)
        stream = Stream(tenant, wake)
        self._open.add(stream)
        tenant.streams.add(stream)
        return stream

    def end(self, stream: Stream) -> None:
        """It has ended."""
        self._open.discard(stream)
        stream.tenant.streams.discard(stream)

    def close(self) -> None:
        """End all, for the server is about to stop."""
        for stream in tuple(self._open):
            stream.close()
