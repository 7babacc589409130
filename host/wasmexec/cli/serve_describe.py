"""`wasmexec serve describe`: what the API of this version is, for programs that use it."""

from __future__ import annotations

import click

from . import outputs
from .serve_options import server_extra
from .streams import emit


@click.command("describe", short_help="Print the OpenAPI document of the API, or TypeScript types.")
@click.argument("form", type=click.Choice(["openapi", "typescript"]))
def command(form: str) -> int:
    """Print what the HTTP API of this version is; no server is needed.

    openapi is the OpenAPI 3.1 document that a server has at /v1/openapi.json, typescript a declaration file (.d.ts)
    with a type for each of its documents and operations.
    """
    with server_extra():
        from ..server.openapi.offline import api_document
        from ..server.openapi.typescript import typescript_of
    document = api_document()
    emit(outputs.to_json(document, indent=True) + "\n" if form == "openapi" else typescript_of(document))
    return 0
