"""`Reader`: who types the examples of a page into a shell, one after the other, and looks at what is answered."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
from tests.server.api_tester import operations_of
from tests.server.live_server import LiveServer, wait_until

WRAPPER = """#!/bin/sh
exec {curl} --silent --show-error --max-time 60 --dump-header {folder}/headers \\
  --write-out '%{{stderr}}\\n%{{http_code}} %{{method}} %{{url_effective}}\\n' "$@"
"""


class Typed(NamedTuple):
    """One command of a page, and what it was answered."""

    command: str
    operation: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def commands_of(page: str) -> Iterator[str]:
    """The commands of every block of a page that uses curl, whole ones, in their order."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if language not in ("", "sh") or not re.search(r"^\s*curl ", block, re.MULTILINE):
            continue
        command = ""
        for line in block.splitlines():
            command += line + "\n"
            checked = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)
            if checked.returncode == 0 and not line.rstrip().endswith(("\\", "|")):
                yield command
                command = ""
        assert not command.strip(), f"the block ends within a command: {command}"


class Reader:
    """Has `variables` from the start, and takes ids out of answers as somebody who reads them would.

    `replaced` are texts of the page that stand for something else on this machine.
    """

    def __init__(
        self, server: LiveServer, folder: Path, variables: dict[str, str], replaced: dict[str, str] | None = None
    ) -> None:
        curl = shutil.which("curl")
        assert curl is not None, "these tests need curl"
        self._server = server
        self._folder = folder
        self._replaced = replaced or {}
        self._variables = variables
        self._document = server.client.get("/v1/openapi.json").json()
        programs = folder / "programs"
        programs.mkdir()
        (programs / "curl").write_text(WRAPPER.format(curl=curl, folder=shlex.quote(str(folder))))
        (programs / "curl").chmod(0o755)
        self._path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def type(self, command: str) -> Typed:
        """Type a command; its answer is one that the document of the API has, and none of its problems."""
        for old, new in self._replaced.items():
            command = command.replace(old, new)
        done = subprocess.run(
            ["bash", "-c", "set -euo pipefail\n" + command], cwd=self._folder, capture_output=True, timeout=120,
            env={"PATH": self._path, **self._variables}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}{done.stderr.decode()}"
        status, method, url = done.stderr.decode().strip().splitlines()[-1].split()
        typed = Typed(command, self._operation(method, url), int(status), self._headers(), _body(done.stdout))
        self.check(typed)
        self._learn(typed)
        return typed

    def check(self, typed: Typed) -> None:
        """Raises: AssertionError: the answer is a problem, or not what the document of the API says it is."""
        method, path = typed.operation.split()
        answers = self._document["paths"][path][method.lower()]["responses"]
        assert typed.status < 300, f"{typed.command}HTTP {typed.status} {typed.body.decode()}"
        assert str(typed.status) in answers, f"{typed.command}HTTP {typed.status}"
        for name, value in re.findall(r'# ([A-Z]\w+): ("?\w+"?)$', typed.command, re.MULTILINE):
            assert typed.headers[name.lower()] == value, typed.command
        if not (content := answers[str(typed.status)].get("content")):
            assert typed.body == b""
            return
        media_type = typed.headers["content-type"].partition(";")[0]
        form = content[media_type]
        if media_type == "application/json":
            self._validate(typed.document, form["schema"])
        elif media_type == "application/x-ndjson":
            for line in typed.body.splitlines():
                self._validate(json.loads(line), form["x-item-schema"])
        elif media_type == "text/event-stream":
            states = re.findall(rb"^event: state\ndata: (.*)$", typed.body, re.MULTILINE)
            assert states
            for state in states:
                self._validate(json.loads(state), form["x-item-schema"])
        else:
            assert (media_type, typed.body[:11]) == ("text/csv", b"hour,tenant")

    def _validate(self, document: Any, schema: Any) -> None:
        jsonschema.Draft202012Validator({**schema, "components": self._document["components"]}).validate(document)

    def _operation(self, method: str, url: str) -> str:
        path = re.sub(r"^\w+://[^/]+|\?.*$", "", url)
        found = [
            name
            for name in operations_of(self._document)
            if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape(name)), f"{method} {path}")
        ]
        assert len(found) == 1, f"{method} {path} is no operation"
        return found[0]

    def _headers(self) -> dict[str, str]:
        lines = (self._folder / "headers").read_text().splitlines()
        pairs = [line.partition(":") for line in lines if ":" in line]
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    def _learn(self, typed: Typed) -> None:
        """Note the ids that the page goes on with, and wait for the end of what it has started."""
        if typed.operation in ("POST /v1/runs", "POST /v1/steps/{name}/runs"):
            self._variables["ID"] = typed.document["id"]
            if typed.status == 202:
                wait_until(lambda: self._ask(typed.headers["location"])["state"] == "ended")
        elif typed.operation == "POST /v1/keys":
            self._variables["KEY_ID"] = typed.document["id"]
        elif events := re.findall(rb"^id: (.*)$", typed.body, re.MULTILINE):
            self._variables["EVENT"] = events[0].decode()

    def _ask(self, path: str) -> Any:
        return self._server.ask("GET", path, self._variables["KEY"]).json()


def _body(output: bytes) -> bytes:
    """Without the head that -i puts before it."""
    return output.partition(b"\r\n\r\n")[2] if output.startswith(b"HTTP/") else output
