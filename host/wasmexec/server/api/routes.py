"""Every path of the HTTP API; `docs/serving.md` has it by example."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..runs.repeats import Repeats
from ..steps.checks import Checks
from .access import Access
from .admin import AdminApi
from .audit import AuditApi
from .batches import BatchesApi
from .events import EventsApi
from .health import HealthApi
from .keys import KeysApi
from .openapi import OpenApi
from .quotas import QuotasApi
from .recordings import RecordingsApi
from .runs import RunsApi
from .secrets import SecretsApi
from .step_runs import StepRunsApi
from .steps import StepsApi
from .usage import UsageApi
from .workers import WorkersApi

if TYPE_CHECKING:
    from ..config import ServerConfig
    from ..http.operations import Route
    from ..reading.reader import BodyReader
    from ..runs.runs import Runs
    from ..steps.step_runs import StepRuns
    from ..storage.storage import Storage
    from ..streaming.streams import Streams
    from ..tenants.directory import Directory


def all_routes(
    config: ServerConfig,
    storage: Storage,
    directory: Directory,
    runs: Runs,
    step_runs: StepRuns,
    streams: Streams,
    reader: BodyReader,
    image: str,
    stop: Callable[[], None],
) -> tuple[Route, ...]:
    """Every path there is; `image` is the manifest that statements run in, `stop` has the server drain and end."""
    access = Access(config, directory)
    repeats = Repeats(storage.request_keys)
    runs_api = RunsApi(access, storage, runs, repeats, image, reader)
    routes = (
        *runs_api.routes(),
        *EventsApi(access, storage, runs, runs_api, streams).routes(),
        *BatchesApi(config, access, directory, storage, runs, streams, repeats, image).routes(),
        *RecordingsApi(access, storage, runs, runs_api, image).routes(),
        *StepsApi(access, storage, Checks(step_runs.enclosure)).routes(),
        *StepRunsApi(access, storage, step_runs, repeats).routes(),
        *UsageApi(access, storage).routes(),
        *QuotasApi(access, storage, directory, runs).routes(),
        *SecretsApi(access, directory).routes(),
        *KeysApi(access, directory).routes(),
        *AuditApi(access, storage).routes(),
        *AdminApi(access, storage, directory, runs, step_runs).routes(),
        *WorkersApi(access, storage, runs, config.drain_seconds, stop).routes(),
        *HealthApi(runs).routes(),
    )
    return (*routes, *OpenApi(routes).routes())
