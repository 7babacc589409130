"""`Front`: what of the server faces clients: the store, the tenants, the API and the socket it listens at."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from .._wall.wall import Mode
from ..errors import ConfigError
from ..image import Image
from .api.routes import all_routes
from .config import ServerConfig
from .http.app import App
from .http.connections import Connections, descriptors_for
from .http.listener import Listener, listening_socket, make_listener, remove_path
from .reading.reader import BodyReader
from .runs.recorder import Recorder
from .runs.restoring import restore
from .runs.runs import Runs
from .steps.step_runs import StepRuns
from .storage.resealing import Resealing
from .storage.retention import Retention
from .storage.storage import Storage
from .streaming.streams import Streams
from .tenants.directory import Directory
from .tenants.keys import OPERATOR, Scope

_MOST_SCRAPERS = 32


class Front:
    """A front that takes requests from `open` to `close`; `admin_key` is that of the operator if there was none."""

    step_runs: StepRuns
    _reader: BodyReader

    def __init__(self, storage: Storage, streams: Streams) -> None:
        self.admin_key: str | None = None
        self.restored = 0
        self.url = ""
        self.metrics_url: str | None = None
        self._path: str | None = None
        """Of the socket that it listens at, if that is a file."""
        self._storage = storage
        self._listeners: list[Listener] = []
        self._serving: list[asyncio.Task[None]] = []
        self._streams = streams
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, config: ServerConfig, runs: Runs, image: Image, stop: Callable[[], None]) -> Front:
        """One that has taken up what the last one left; `stop` has the server drain and end.

        Raises:
            ConfigError: an address cannot be listened at.
            StoreError: the store cannot be opened.
        """
        addresses = [config.address] if config.metrics_address is None else [config.address, config.metrics_address]
        sockets = _listening(addresses)
        watch = runs.watch
        try:
            storage = runs.storage = Storage(config.store, config.key_file, asyncio.get_running_loop(), watch.committed)
        except BaseException:
            for listens in sockets:
                _close(listens)
            raise
        streams = Streams()
        front = cls(storage, streams)
        runs.recorder = Recorder(config, storage, runs.drop)
        storage.writer.when_back(runs.go_on)
        directory = Directory(storage, config.limits, config.max_queued)
        step_runs = front.step_runs = StepRuns(config, storage, runs, str(image.manifest))
        descriptors_for(config.max_connections)
        connections = Connections(config.max_connections, config.max_connections_per_address, watch)
        reader = front._reader = BodyReader(Mode(config.wall), str(image.manifest), config.max_body_bytes)
        app = App(
            all_routes(config, storage, directory, runs, step_runs, streams, reader, str(image.manifest), stop), watch
        )
        front.url = front._serve(make_listener(app, config.head_seconds, config.stall_seconds, connections), sockets[0])
        if watch.metrics is not None:
            from .watching.exporter import metrics_app

            few = Connections(_MOST_SCRAPERS, _MOST_SCRAPERS, watch)
            metrics = metrics_app(watch, runs, directory, storage, connections, f"{image.name} {image.stamp[:16]}")
            front.metrics_url = front._serve(
                make_listener(metrics, config.head_seconds, config.stall_seconds, few), sockets[1]
            )
        front.restored = storage.runs.count_unfinished()
        for tenant in directory.tenants.values():
            await runs.recorder.know(tenant)
            runs.know(tenant)
        front._tasks = [
            asyncio.create_task(restore(runs, storage, directory.tenants)),
            asyncio.create_task(Resealing(storage).run()),
            asyncio.create_task(
                Retention(
                    storage, config.keep_runs_days, config.keep_audit_days, runs.recorder.note_deleted
                ).sweep_often()
            ),
        ]
        front.restored += await step_runs.restore(directory.tenants)
        front.admin_key = await _first_key(directory)
        return front

    async def serve_until(self, stopped: asyncio.Event) -> None:
        """Return once it is asked to stop, or has lost its store: then `lost` tells why."""
        waiting = asyncio.create_task(stopped.wait())
        reasons: list[asyncio.Future[Any]] = [*self._serving, waiting, self._storage.taken]
        await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    @property
    def lost(self) -> Exception | None:
        """Why this server must not go on: another one has its store."""
        taken = self._storage.taken
        return taken.result() if taken.done() else None

    async def stop_listening(self) -> None:
        """Take no more requests, let those that are there have their answers, and end what would go on."""
        self._leave_path()
        self._streams.close()
        for listener in self._listeners:
            listener.should_exit = True
        await asyncio.gather(*self._serving)

    async def close(self) -> None:
        """Have everything on disk."""
        self._reader.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._storage.close()
        self._leave_path()

    def _leave_path(self) -> None:
        """Before it is not listened at any more: afterwards it may be the next server's."""
        if self._path is not None:
            remove_path(self._path)
            self._path = None

    def _serve(self, listener: Listener, listens: socket.socket) -> str:
        """Take requests; the address."""
        self._listeners.append(listener)
        self._serving.append(asyncio.create_task(listener.serve(sockets=[listens])))
        address = listens.getsockname()
        if isinstance(address, str):
            self._path = address
            return f"unix:{address}"
        host, port = address[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listening(addresses: Sequence[tuple[str, int] | str]) -> list[socket.socket]:
    """A socket that listens at each address.

    Raises: ConfigError: one cannot be listened at.
    """
    found: list[socket.socket] = []
    for address in addresses:
        try:
            found.append(listening_socket(address))
        except OSError as error:
            for listens in found:
                _close(listens)
            where = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
            raise ConfigError(f"server: nothing can listen at {where}: {error.strerror}") from None
    return found


def _close(listens: socket.socket) -> None:
    """Nobody has been let in yet."""
    address = listens.getsockname()
    if isinstance(address, str):
        remove_path(address)
    listens.close()


async def _first_key(directory: Directory) -> str | None:
    if directory.has_admin_key:
        return None
    key, _ = await directory.keys.issue(
        None, tenant=OPERATOR, name=None, scopes=[Scope.ADMIN], lifetime_seconds=None
    )  # fmt: skip
    return key.reveal()
