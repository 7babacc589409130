"""`api_document`: the OpenAPI document of this version without a server that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..._wall.wall import Mode
from ..api.routes import all_routes
from ..config import ServerConfig
from ..reading.reader import BodyReader
from ..runs.runs import Runs
from ..steps.step_runs import StepRuns
from ..storage.storage import Storage
from ..streaming.streams import Streams
from ..tenants.directory import Directory
from ..watching.watch import Watch
from .document import openapi_document


def api_document() -> dict[str, Any]:
    """The document, as JSON-able values: the real handlers, over an empty store that is gone afterwards."""
    return asyncio.run(_document())


async def _document() -> dict[str, Any]:
    with TemporaryDirectory(prefix="wasmexec-") as folder:
        config = ServerConfig(store=str(Path(folder) / "store.sqlite3"))
        storage = Storage(config.store, config.key_file, asyncio.get_running_loop())
        try:
            directory = Directory(storage, config.limits, config.max_queued)
            runs = Runs(config, Watch())
            steps = StepRuns(config, storage, runs, image="")
            reader = BodyReader(Mode.OFF, "", config.max_body_bytes)
            return openapi_document(
                all_routes(config, storage, directory, runs, steps, Streams(), reader, image="", stop=_nothing)
            )
        finally:
            await storage.close()


def _nothing() -> None:
    """There is no server that could be stopped."""
