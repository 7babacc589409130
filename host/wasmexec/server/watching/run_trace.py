"""`RunTrace`: the spans of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span


class RunTrace:
    """The spans of one run that have not ended."""

    __slots__ = ("context", "phase", "span")

    def __init__(self, span: Span, context: Context) -> None:
        self.span = span
        self.context = context
        self.phase: Span | None = None

    @property
    def traceparent(self) -> str:
        """The header by which what it asks of others belongs to its trace."""
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, self.context)
        return carrier["traceparent"]
