"""The options of `wasmexec serve`: one for each setting of `ServerConfig`, with its default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, Final, NamedTuple, TypeVar

import click

from ..limits import GIB, MIB
from ..server.config import ServerConfig
from .parameters import SizeType

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


class _Said(NamedTuple):
    text: str
    metavar: str | None = None
    default: str | None = None


_HELP: Final = {
    "listen": _Said("Where to listen; port 0 is a free one, a path its owner's.", "HOST:PORT|unix:PATH"),
    "store": _Said("An SQLite file, made if need be, or postgresql://USER@HOST/DATABASE.", "PLACE"),
    "secrets_key_file": _Said("Keys that seal what is secret in the store.", "FILE", "STORE.key"),
    "image": _Said("core, full or a manifest file.", "NAME", "the best that is built"),
    "workers": _Said("Processes that run statements.", default="one per processor"),
    "slots": _Said("Statements that compute at once in each of them."),
    "most_asleep": _Said("Statements that may sleep or wait for HTTP in each of them."),
    "worker_memory_bytes": _Said(
        "Memory of its own with which one is ended.", default="three quarters of the machine's"
    ),
    "wall": _Said("Around each of them: auto, required or off.", "MODE", "auto: what the system has"),
    "recycle_executions": _Said("Statements after which one is replaced."),
    "recycle_seconds": _Said("Time after which one is replaced, a tenth more or less."),
    "recycle_memory_bytes": _Said("Private memory with which one is replaced."),
    "max_body_bytes": _Said("The longest body of a request."),
    "body_seconds": _Said("How long a body may take to arrive."),
    "head_seconds": _Said("How long the head of a request may take to arrive."),
    "stall_seconds": _Said("How long a client may take nothing of its answer."),
    "max_connections": _Said("Open connections."),
    "max_connections_per_address": _Said("Open connections of one address."),
    "max_queued_bytes": _Said("Orders and inputs of all runs that have not ended."),
    "max_live_log_bytes": _Said("Lines of the logs of all runs that have not ended."),
    "max_queued": _Said("Runs of a tenant that may wait, unless it has another number."),
    "step_processes": _Said("Runs of steps that are under way at once."),
    "keep_step_runs": _Said("Ended runs of each step that are kept."),
    "drain_seconds": _Said("How long running statements may go on after SIGTERM."),
    "store_away_seconds": _Said("How long runs are taken while the store does not answer, except lasting ones."),
    "max_unstored_bytes": _Said("Ends of runs that wait for a store that does not answer."),
    "keep_runs_days": _Said("How long runs stay on record after their end."),
    "keep_audit_days": _Said("How long rows of the audit log stay."),
    "metrics": _Said("Where Prometheus finds the metrics, without a key.", "HOST:PORT", "nowhere"),
    "metrics_tenants": _Said("How many tenants, the busiest, metrics name."),
    "access_log": _Said('A line of JSON for each request; "-" is standard error.', "FILE", "none"),
    "traces": _Said("A receiver of OpenTelemetry traces over OTLP/HTTP.", "URL", "none"),
    "traces_sampled": _Said("The part of the requests that are traced."),
}
_SHORT: Final = {"secrets_key_file": "--secrets-key"}
IN_THE_FILE: Final = frozenset(("limits",))
"""Tables, which only the file has."""


def setting_options(function: _Decorated) -> _Decorated:
    """Give a command an option for each setting; None where it is not used."""
    for item in reversed(fields(ServerConfig)):
        if item.name not in IN_THE_FILE:
            function = _option(item)(function)
    return function


def _option(item: Field[Any]) -> Callable[[_Decorated], _Decorated]:
    said = _HELP.get(item.name, _Said(""))
    default = said.default or _shown(item)
    kind: Any = {"int": int, "float": float}.get(str(item.type), str)
    metavar = said.metavar
    if item.name.endswith("_bytes"):
        kind, metavar = SizeType(), "SIZE"
    elif item.name.endswith("_seconds"):
        metavar = "SECONDS"
    name = item.name.replace("_", "-")
    names = [f"--{name}"] if item.name not in _SHORT else [_SHORT[item.name], f"--{name}"]
    return click.option(*names, item.name, type=kind, metavar=metavar, help=f"{said.text}  [{default}]")


def _shown(item: Field[Any]) -> str:
    if item.default is MISSING or item.default is None:
        return "none"
    if item.name.endswith("_bytes"):
        unit, name = (GIB, "GiB") if item.default % GIB == 0 else (MIB, "MiB")
        return f"{item.default // unit} {name}"
    return f"{item.default:,g}" if isinstance(item.default, (int, float)) else str(item.default)
