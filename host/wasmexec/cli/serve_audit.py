"""`wasmexec serve audit`: whether the audit log of a server is whole."""

from __future__ import annotations

import click

from .serve_options import server_extra
from .terminal import fail, say


@click.group("audit", short_help="Check the audit log.")
def command() -> None:
    """Check the audit log of a server."""


@command.command("verify", short_help="Follow the chain of its rows.")
@click.option("--store", metavar="FILE", help="The store of the server, which may run.  [wasmexec-server.sqlite3]")
@click.option("--config", "config_file", metavar="FILE", help="The server's TOML file; --store takes precedence.")
@click.option("--anchor", "anchor_text", metavar="ROWS:HASH", help="What this, or GET /v1/admin/audit, told before.")
def verify(store: str | None, config_file: str | None, anchor_text: str | None) -> int:
    """Follow the chain of the rows of the audit log: whether one was changed, put in or taken out.

    Prints an anchor, which is to be kept where those who can write to the database cannot. Only with an anchor it is
    seen that rows were cut off at the end, or that all that follows a change was chained anew. Exit code 1: broken.
    """
    with server_extra():
        from ..server.config import load_config
        from ..server.storage.audit import Anchor, verify_store
    anchor = None if anchor_text is None else Anchor.parse(anchor_text)
    verdict = verify_store(load_config(config_file, {"store": store}).store, anchor)
    if verdict.broken is not None:
        fail(f"the audit log is broken at row {verdict.broken:,}: {verdict.why}")
        return 1
    if verdict.cut:
        say(f"the audit log is whole from row {verdict.cut + 1:,} to {verdict.anchor.rows:,}; older ones were deleted")
    else:
        say(f"the audit log is whole: {verdict.anchor.rows:,} rows")
    click.echo(str(verdict.anchor))
    return 0
