"""`Tracing`: OpenTelemetry spans of requests, of runs and of their HTTP requests; a thread of the SDK sends them.

    POST /v1/runs                     the request; its parent is the client's, from `traceparent`
      run                             from the acceptance to the end, also after a 202
        queued, execute               each attempt
        GET, POST, ...                what the statement has asked of others, as its worker tells

SECURITY: spans have names, figures and hosts, never a path, a query, a header, or anything that a statement says.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..problems import ProblemError
from .run_trace import RunTrace

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from ...workers.answers import Answer
    from ..http.request import Request
    from .subjects import WatchedRun

_EXPORT_SECONDS = 5
_MOST_WAITING = 4096
"""Spans that wait to be sent; beyond them new ones are dropped."""
_NANOSECONDS = 1_000_000_000
_PLAIN = re.compile(r"[\x20-\x7e]{1,512}")


class Tracing:
    """Makes spans and has them sent to `endpoint`; of all traces a part of `sampled`, from 0 to 1.

    SECURITY: a client can have its trace left out, and not have more of them recorded than that part.
    """

    def __init__(self, endpoint: str, sampled: float) -> None:
        part = TraceIdRatioBased(sampled)
        self._provider = TracerProvider(
            sampler=ParentBased(root=part, remote_parent_sampled=part, remote_parent_not_sampled=ALWAYS_OFF),
            resource=Resource.create({"service.name": "wasmexec", "service.version": version("wasmexec")}),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(
            exporter, max_queue_size=_MOST_WAITING, schedule_delay_millis=1000,
            export_timeout_millis=_EXPORT_SECONDS * 1000,
        ))  # fmt: skip
        self._tracer = self._provider.get_tracer("wasmexec.server")
        self._propagator = TraceContextTextMapPropagator()

    def close(self) -> None:
        """Send what is left; it takes some seconds if nobody takes it."""
        self._provider.shutdown()

    def request_began(self, request: Request) -> None:
        """A request to a resource of the API."""
        if request.route is None or not request.route.startswith("/v1/"):
            return
        request.span = self._tracer.start_span(
            f"{request.method} {request.route}", self._parent(request), SpanKind.SERVER,
            {"http.request.method": request.method, "http.route": request.route, "wasmexec.request": request.id},
        )  # fmt: skip

    def request_ended(self, request: Request, status: int) -> None:
        """It has been answered."""
        span = request.span
        if span is None:
            return
        span.set_attribute("http.response.status_code", status)
        for name, value in (("tenant", request.tenant), ("run", request.run_id), ("rule", request.rule)):
            if value is not None:
                span.set_attribute(f"wasmexec.{name}", value)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def run_asked(self, request: Request) -> RunTrace | None:
        """The trace of a run that is about to be accepted; nothing is sent of one that is not."""
        if request.span is None:
            return None
        span = self._tracer.start_span("run", trace.set_span_in_context(request.span))
        return RunTrace(span, trace.set_span_in_context(span))

    def run_waits(self, run: WatchedRun) -> None:
        """It has been queued."""
        if run.trace is not None:
            run.trace.phase = self._tracer.start_span("queued", run.trace.context)

    def run_started(self, run: WatchedRun) -> None:
        """An attempt begins."""
        if run.trace is None:
            return
        if run.trace.phase is not None:
            run.trace.phase.end()
        run.trace.phase = self._tracer.start_span(
            "execute", run.trace.context, attributes={"wasmexec.attempt": run.attempts}
        )

    def attempt_lost(self, run: WatchedRun) -> None:
        """An attempt went down with its worker."""
        if run.trace is not None and run.trace.phase is not None:
            run.trace.phase.set_status(Status(StatusCode.ERROR, "its worker is gone"))
            run.trace.phase.end()
            run.trace.phase = None

    def run_ended(self, run: WatchedRun) -> None:
        """It has ended."""
        answer = run.answer
        if run.trace is None or answer is None:
            return
        if run.trace.phase is not None:
            run.trace.phase.end()
        span = run.trace.span
        if span.is_recording():
            self._calls(run.trace.context, run, answer)
            span.set_attributes({
                "wasmexec.run": run.id, "wasmexec.tenant": run.tenant.name, "wasmexec.status": int(answer.status),
                "wasmexec.attempts": run.attempts, "wasmexec.cpu_seconds": answer.usage.cpu_seconds,
                "wasmexec.http_requests": answer.usage.http_requests,
            })  # fmt: skip
            if not answer.status.succeeded:
                span.set_status(Status(StatusCode.ERROR))
        span.end()
        run.trace = None

    def _calls(self, context: Context, run: WatchedRun, answer: Answer) -> None:
        """What the statement has asked of others; the worker says when that was.

        SECURITY: the worker can lie, but not about times in which the run was not there.
        """
        first, last = run.started_at or run.created_at, run.ended_at or run.created_at
        for call in answer.calls:
            began_at = max(first, min(call.began_at, last))
            ended_at = min(began_at + call.seconds, last)
            began = round(began_at * _NANOSECONDS)
            span = self._tracer.start_span(
                call.method, context, SpanKind.CLIENT,
                {"http.request.method": call.method, "server.address": call.host, "server.port": call.port},
                start_time=began,
            )  # fmt: skip
            if call.status is not None:
                span.set_attribute("http.response.status_code", call.status)
            if call.error is not None:
                span.set_attribute("error.type", call.error)
                span.set_status(Status(StatusCode.ERROR))
            span.end(max(began, round(ended_at * _NANOSECONDS)))

    def _parent(self, request: Request) -> Context | None:
        """The client's span, if the request tells it as W3C has it; what makes no sense is no reason to refuse it."""
        carrier = {}
        for name in ("traceparent", "tracestate"):
            try:
                value = request.header(name.encode())
            except ProblemError:
                return None
            if value is not None and _PLAIN.fullmatch(value):
                carrier[name] = value
        return self._propagator.extract(carrier) if "traceparent" in carrier else None
