"""Every path of the HTTP API; `docs/serving.md` has it by example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .access import Access
from .admin import AdminApi
from .audit import AuditApi
from .health import HealthApi
from .keys import KeysApi
from .quotas import QuotasApi
from .runs import RunsApi
from .secrets import SecretsApi
from .usage import UsageApi

if TYPE_CHECKING:
    from ..config import ServerConfig
    from ..http.operations import Route
    from ..runs.runs import Runs
    from ..storage.storage import Storage
    from ..tenants.directory import Directory


def all_routes(
    config: ServerConfig, storage: Storage, directory: Directory, runs: Runs, image: str
) -> tuple[Route, ...]:
    """Every path there is; `image` is the manifest that statements run in."""
    access = Access(config, directory)
    return (
        *RunsApi(access, storage, directory, runs, image).routes(),
        *UsageApi(access, storage).routes(),
        *QuotasApi(access, directory).routes(),
        *SecretsApi(access, directory).routes(),
        *KeysApi(access, directory).routes(),
        *AuditApi(access, storage).routes(),
        *AdminApi(access, directory, runs).routes(),
        *HealthApi(runs).routes(),
    )
