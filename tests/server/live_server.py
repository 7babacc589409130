"""A real server on loopback for tests: a process of its own, with real workers and an SQLite file, or PostgreSQL."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

PATIENCE_SECONDS = 60.0
START_SECONDS = 60.0
SERVE = (sys.executable, "-X", "faulthandler", "-m", "wasmexec", "serve")


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Return once it holds; fail when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


class LiveServer:
    """`wasmexec serve` from construction to `close`; started again with the same folder it finds the same store.

    `store` is that of --store, by default a file in the folder.
    """

    def __init__(
        self, folder: Path, *, admin: str | None = None, settings: str = "", store: str = "store.sqlite3",
        program: Sequence[str] = SERVE, workers: int = 2,
    ) -> None:  # fmt: skip
        (folder / "server.toml").write_text(f'listen = "127.0.0.1:0"\nworkers = {workers}\n{settings}\n')
        self.folder = folder
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*program, "--config", "server.toml", "--store", store],
            cwd=folder, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            wait_until(lambda: self._said(r"listening at (\S+)") or self.process.poll() is not None, START_SECONDS)
            url = self._said(r"listening at (\S+)")
            assert url is not None, self.lines
            if admin is None:
                wait_until(lambda: self._said(r"admin key, shown this once: (\S+)"))
            self.url = url
            self.admin = admin or self._said(r"admin key, shown this once: (\S+)") or ""
            self.client = httpx.Client(base_url=url, timeout=PATIENCE_SECONDS)
        except BaseException:
            # It says where it was.
            self.process.send_signal(signal.SIGABRT)
            self._end()
            print(*self.lines, sep="", file=sys.stderr)
            raise

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def workers(self) -> list[psutil.Process]:
        """Its worker processes, ready or not."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if any("orders_child" in part for part in child.cmdline()):
                    found.append(child)
        return found

    def until_ready(self) -> Self:
        """Return once a statement gets through."""
        wait_until(lambda: self.client.get("/readyz").status_code == 200, START_SECONDS)
        return self

    def ask(self, method: str, path: str, key: str, content: Any = None, **headers: str) -> httpx.Response:
        """One request with a key; the headers with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(
            method, path, json=content, headers={"Authorization": f"Bearer {key}", **named}
        )  # fmt: skip

    def tenant(self, name: str, **rules: Any) -> Tenant:
        """A new tenant with a key of its own, or one with other rules."""
        answer = self.ask("POST", "/v1/admin/tenants", self.admin, {"name": name, **rules})
        assert answer.status_code in (200, 201), answer.text
        answer = self.ask("POST", f"/v1/admin/tenants/{name}/keys", self.admin, {})
        assert answer.status_code == 201, answer.text
        return Tenant(self, answer.json()["key"])

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self._end()

    def terminate(self) -> int:
        """Ask it to end, and wait for that; its exit code."""
        self.process.terminate()
        code = self.process.wait(PATIENCE_SECONDS)
        self._end()
        return code

    def _end(self) -> None:
        self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()
        if hasattr(self, "client"):
            self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def _said(self, pattern: str) -> str | None:
        found = re.search(pattern, "".join(self.lines))
        return None if found is None else found[1]


class Tenant:
    """One tenant with a key, and what it asks of its server."""

    def __init__(self, server: LiveServer, key: str) -> None:
        self.server = server
        self.key = key

    def run(self, statement: str, **request: Any) -> httpx.Response:
        """A synchronous run."""
        return self.server.ask("POST", "/v1/runs", self.key, {"statement": statement, **request})

    def start(self, statement: str, **request: Any) -> str:
        """The id of a run that was accepted with 202."""
        body = {"statement": statement, **request}
        answer = self.server.ask("POST", "/v1/runs", self.key, body, prefer="respond-async")
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/v1/runs/{answer.json()['id']}"
        return str(answer.json()["id"])

    def get(self, path: str) -> httpx.Response:
        return self.server.ask("GET", path, self.key)

    def look(self, run_id: str) -> dict[str, Any]:
        """A run as it is now."""
        answer = self.get(f"/v1/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def cancel(self, run_id: str) -> dict[str, Any]:
        answer = self.server.ask("POST", f"/v1/runs/{run_id}:cancel", self.key)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def until(self, run_id: str, **state: Any) -> dict[str, Any]:
        """A run once it is so."""
        found: dict[str, Any] = {}

        def is_so() -> bool:
            found.clear()
            found.update(self.look(run_id))
            return all(found.get(name) == value for name, value in state.items())

        wait_until(is_so)
        return found

    @property
    def counts(self) -> dict[str, Any]:
        """How many of its runs are queued, executing, asleep."""
        found: dict[str, Any] = self.get("/v1/quotas").json()["runs"]
        return found

    @property
    def usage(self) -> dict[str, int]:
        found: dict[str, int] = self.get("/v1/usage").json()["total"]
        return found

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it waits or runs."""
        counts = self.counts
        return (counts["queued"], counts["executing"], counts["asleep"]) == (0, 0, 0)
