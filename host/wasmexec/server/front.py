"""`Front`: what of the server faces clients: the store, the tenants, the API and the socket it listens at."""

from __future__ import annotations

import asyncio
import socket

from ..errors import ConfigError
from .api.routes import all_routes
from .config import ServerConfig
from .http.app import App
from .http.listener import Listener, listening_socket, make_listener
from .runs.runs import Runs
from .storage.storage import Storage
from .tenants.directory import Directory
from .tenants.keys import OPERATOR, Scope


class Front:
    """A front that takes requests from `open` to `close`; `admin_key` is that of the operator if there was none."""

    def __init__(self, config: ServerConfig, storage: Storage, listener: Listener, listens: socket.socket) -> None:
        self.admin_key: str | None = None
        self.restored = 0
        host, port = config.address[0], listens.getsockname()[1]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._storage = storage
        self._listener = listener
        self._serving = asyncio.create_task(listener.serve(sockets=[listens]))

    @classmethod
    async def open(cls, config: ServerConfig, runs: Runs, image: str) -> Front:
        """One that has taken up what the last one left.

        Raises:
            ConfigError: the address cannot be listened at.
            StoreError: the store cannot be opened.
        """
        try:
            listens = listening_socket(config.address)
        except OSError as error:
            raise ConfigError(f"server: nothing can listen at {config.listen}: {error.strerror}") from None
        try:
            storage = runs.storage = Storage(config.store, config.key_file, asyncio.get_running_loop())
        except BaseException:
            listens.close()
            raise
        directory = Directory(storage, config.limits, config.max_queued)
        app = App(all_routes(config, storage, directory, runs, image))
        front = cls(config, storage, make_listener(app, config), listens)
        unfinished = storage.runs.unfinished()
        runs.restore(unfinished, directory.tenants)
        front.restored = len(unfinished)
        front.admin_key = await _first_key(directory)
        return front

    async def serve_until(self, stopped: asyncio.Event) -> None:
        """Return once it is asked to stop."""
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait([self._serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def stop_listening(self) -> None:
        """Take no more requests, and let those that are there have their answers."""
        self._listener.should_exit = True
        await self._serving

    def close(self) -> None:
        """Have everything on disk."""
        self._storage.close()


async def _first_key(directory: Directory) -> str | None:
    if directory.has_admin_key:
        return None
    key, _ = await directory.keys.issue(
        None, tenant=OPERATOR, name=None, scopes=[Scope.ADMIN], lifetime_seconds=None
    )  # fmt: skip
    return key.reveal()
