"""Reading `grants` of a step file: what its schema cannot say of hosts, PEM files and proxies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import ConfigError
from ...grants import Grants, HttpGrant
from ...rows.named_file import NamedFile
from .document import Node
from .files import check_file
from .mistakes import Collector

_FILES = ("ca_file", "client_cert", "client_key")


def read_grants(section: Node | None, named: Callable[[str], NamedFile], mistakes: Collector) -> Grants:
    """The grants of a step file; `named` are the files by their names there."""
    if section is None:
        return Grants()
    http: list[HttpGrant] = []
    for item in section.fields["http"].items if "http" in section.fields else ():
        if not item.is_right or not _check_files(item, named, mistakes):
            continue
        try:
            http.append(
                HttpGrant.parse(item.value) if isinstance(item.value, str) else HttpGrant(**_beside(item, named))
            )
        except ConfigError as error:
            mistakes.add(item.place, error.message)
    options: dict[str, Any] = {}
    values = _beside(section, named) if _check_files(section, named, mistakes) else {}
    for key in ("ca_file", "proxy"):
        value = values.get(key)
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


def _check_files(section: Node, named: Callable[[str], NamedFile], mistakes: Collector) -> bool:
    files = [(key, node) for key, node in section.fields.items() if key in _FILES]
    return False not in [check_file(named(str(node.value)), mistakes, node.place, key) for key, node in files]


def _beside(section: Node, named: Callable[[str], NamedFile]) -> dict[str, Any]:
    """The plain values of a mapping, its files with their folder."""
    values = {key: node.plain() for key, node in section.fields.items()}
    return {key: named(value).path if key in _FILES else value for key, value in values.items()}
