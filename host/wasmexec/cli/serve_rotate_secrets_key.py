"""`wasmexec serve rotate-secrets-key`: a new key for what the store keeps sealed."""

from __future__ import annotations

import click

from .serve_options import server_extra
from .terminal import say


@click.command("rotate-secrets-key", short_help="Put a new key into the file of sealing keys.")
@click.option("--secrets-key", metavar="FILE", help="The file.  [STORE.key]")
@click.option("--store", metavar="FILE", help="The store of the server.  [wasmexec-server.sqlite3]")
@click.option("--config", "config_file", metavar="FILE", help="The server's TOML file; options take precedence.")
def command(secrets_key: str | None, store: str | None, config_file: str | None) -> int:
    """Put a new key at the beginning of the file of sealing keys.

    The server uses it from its next start, seals with it what the older keys have sealed, and tells which of them are
    needed no more. Their lines are needed for backups of the database from before.
    """
    with server_extra():
        from ..server.config import load_config
        from ..server.vault.key_file import add_key
    file = load_config(config_file, {"store": store, "secrets_key_file": secrets_key}).key_file
    keys = add_key(file)
    say(f"{file} has {len(keys)} keys; the server seals with the new one from its next start")
    return 0
