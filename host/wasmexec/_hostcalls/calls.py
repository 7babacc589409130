"""What the guest may ask of the host: one module per capability, one dispatcher before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .error import HostCallError

if TYPE_CHECKING:
    from ..grants import Grants
    from ..limits import Limits
    from .http.capability import HttpCapability
    from .usage import UsageCounter


class HostCalls:
    """The operations of one execution by name; lives on the event loop thread, closed by the execution.

    A capability is imported when it is first asked for: most executions ask for none.
    """

    def __init__(self, grants: Grants, limits: Limits, usage: UsageCounter) -> None:
        self._grants = grants
        self._limits = limits
        self._usage = usage
        self._http: HttpCapability | None = None

    @staticmethod
    def knows(op: str) -> bool:
        """Whether there is such an operation."""
        return op.startswith("http.")

    async def perform(self, op: str, args: Mapping[str, object], blob: bytes) -> tuple[dict[str, object], bytes]:
        """The result of one operation: fields and a body.

        Raises:
            HostCallError: it failed, was refused or does not exist.
        """
        if not self.knows(op):
            raise HostCallError("bad_request", f"there is no host call {op[:50]!r}")
        if self._http is None:
            from .http.capability import HttpCapability

            self._http = HttpCapability(self._grants, self._limits, self._usage)
        return await self._http.perform(op, args, blob)

    async def aclose(self) -> None:
        """Release connections."""
        if self._http is not None:
            await self._http.aclose()
