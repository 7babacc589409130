"""Reading `grants` of a step file: what its schema cannot say of hosts, PEM files and proxies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...grants import Grants, HttpGrant
from .document import Node
from .mistakes import Collector

_FILES = ("ca_file", "client_cert", "client_key")


def read_grants(section: Node | None, folder: Path, mistakes: Collector) -> Grants:
    """The grants of a step file; its file names are meant from `folder`."""
    if section is None:
        return Grants()
    http: list[HttpGrant] = []
    for item in section.fields["http"].items if "http" in section.fields else ():
        if not item.is_right:
            continue
        try:
            http.append(
                HttpGrant.parse(item.value) if isinstance(item.value, str) else HttpGrant(**_beside(item, folder))
            )
        except ConfigError as error:
            mistakes.add(item.place, error.message)
    options: dict[str, Any] = {}
    for key in ("ca_file", "proxy"):
        value = _beside(section, folder).get(key)
        if value is None:
            continue
        place = section.fields[key].place
        if key == "proxy" and "@" in value:
            # SECURITY: a step file is kept with every run, and read by whoever may look at one.
            mistakes.add(place, "proxy: no user name and no password here; `env` and --proxy may have them")
            continue
        try:
            options[key] = getattr(Grants(**{key: value}), key)
        except ConfigError as error:
            mistakes.add(place, error.message)
    return Grants(http=http, **options)


def _beside(section: Node, folder: Path) -> dict[str, Any]:
    """The plain values of a mapping, its files with their folder."""
    values = {key: node.plain() for key, node in section.fields.items()}
    return {key: folder / value if key in _FILES else value for key, value in values.items()}
