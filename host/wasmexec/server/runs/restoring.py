"""`restore`: the runs that another process had accepted and not ended, a page of them at a time.

Very many may wait, of more bytes than there is memory: what they are to do stays in the store until they start.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...store.errors import StoreError
from ..storage.runs import Place
from .records import StoredRun
from .run import Run

if TYPE_CHECKING:
    from ...limits import Limits
    from ..storage.storage import Storage
    from ..tenants.directory import Tenant
    from .runs import Runs

_AGAIN_SECONDS = 1.0
_log = logging.getLogger(__name__)


async def restore(runs: Runs, storage: Storage, tenants: Mapping[str, Tenant]) -> None:
    """Have the runs go on, oldest first, while others are accepted and started."""
    place: Place | None = None
    while True:
        try:
            page = await storage.runs.unfinished(place)
        except StoreError as error:
            _log.error("what was accepted cannot be read yet: %s", error)
            await asyncio.sleep(_AGAIN_SECONDS)
            continue
        if not page:
            break
        # What this process has accepted meanwhile is there, too, and known.
        found = [item for item in page if item.id not in runs.accepted and item.tenant in tenants]
        owners = {item.tenant: tenants[item.tenant] for item in found}
        runs.take_up(owners.values(), _runs_of(found, owners))
        place = Place(page[-1].created_at, page[-1].id)
        # Others are to be answered meanwhile.
        await asyncio.sleep(0)
    runs.restored.set()
    runs.accepted.clear()


def _runs_of(stored: Sequence[StoredRun], tenants: Mapping[str, Tenant]) -> list[Run]:
    limits: dict[tuple[str, float], Limits] = {}
    runs = []
    for item in stored:
        tenant, kind = tenants[item.tenant], (item.tenant, item.wall_seconds)
        if kind not in limits:
            limits[kind] = dataclasses.replace(tenant.ceiling.limits, wall_seconds=item.wall_seconds)
        runs.append(Run(
            id=item.id, tenant=tenant, key_id=item.key_id, order=b"", data=b"", is_loaded=False,
            statement=item.kind or item.id, limits=limits[kind], has_grants=item.has_grants, is_durable=True,
            created_at=item.created_at, attempts=item.attempts, has_requested=item.may_have_effects,
        ))  # fmt: skip
    return runs
