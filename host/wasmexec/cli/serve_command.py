"""`wasmexec serve`: hosts tenants over HTTP."""

from __future__ import annotations

import logging

import click

from .lazy_group import LazyGroup
from .serve_options import server_extra
from .terminal import note, say


@click.group(
    "serve",
    cls=LazyGroup,
    names=("audit", "rotate-secrets-key"),
    module="serve_{}",
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]...",
    short_help="Run the statements of many tenants over HTTP.",
    epilog="""\
A first session, in another terminal; ADMIN is the key that the server has printed:

\b
  curl -H "Authorization: Bearer $ADMIN" http://127.0.0.1:8700/v1/admin/tenants -d '{"name": "acme"}'
  curl -H "Authorization: Bearer $ADMIN" http://127.0.0.1:8700/v1/admin/tenants/acme/keys -d '{}'
  curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8700/v1/runs -d '{"statement": "return [{\\"a\\": 1}]"}'

The same settings may stand in a TOML file for --config, and more of them:

\b
  listen = "127.0.0.1:8700"
  store = "server.sqlite3"
  workers = 4               # processes that run statements
  secrets_key_file = "/etc/wasmexec/secrets.key"
  slots = 2                 # statements that compute at once in each
  max_body_bytes = "16 MiB"
  wall = "auto"             # around workers: required (else nothing starts), off
  drain_seconds = 30        # how long running statements may go on after SIGTERM
  [limits]                  # the most that any run of any tenant may use
  wall_seconds = 60
  memory_bytes = "1 GiB"

SIGTERM and Ctrl-C end it: it takes no new runs, running ones may end, accepted ones go on at the next start.
""",
)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 is a free one.  [127.0.0.1:8700]")
@click.option("--store", metavar="FILE", help="The SQLite file, made if need be.  [wasmexec-server.sqlite3]")
@click.option("--workers", type=int, help="Processes that run statements.  [one per processor]")
@click.option("--secrets-key", metavar="FILE", help="Keys that seal what is secret in the store.  [STORE.key]")
@click.option("--image", metavar="NAME", help="core, full or a manifest file.  [the best that is built]")
@click.option("--wall", metavar="MODE", help="Around each worker: auto, required or off.  [auto: what the system has]")
@click.option("--config", "config_file", metavar="FILE", help="A TOML file of settings; options take precedence.")
@click.pass_context
def command(
    context: click.Context,
    listen: str | None,
    store: str | None,
    workers: int | None,
    secrets_key: str | None,
    image: str | None,
    wall: str | None,
    config_file: str | None,
) -> int:
    """Run the statements of many tenants over HTTP: on one machine, with one SQLite file.

    Prints its address and, the first time, a key for the operator, which makes tenants and their keys. docs/serving.md
    has the API by example.
    """
    options = {
        "listen": listen, "store": store, "workers": workers, "secrets_key_file": secrets_key, "image": image,
        "wall": wall,
    }  # fmt: skip
    if context.invoked_subcommand is not None:
        if config_file is not None or any(value is not None for value in options.values()):
            raise click.UsageError(f"give options to the command: serve {context.invoked_subcommand} ... --option")
        return 0
    with server_extra():
        from ..server.config import load_config
        from ..server.serving import Started, run_server
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)

    def started(server: Started) -> None:
        say(f"listening at {server.url}")
        if server.restored:
            note(f"{server.restored:,} accepted runs go on")
        if server.admin_key is not None:
            say(f"admin key, shown this once: {server.admin_key}")

    run_server(load_config(config_file, options), started)
    return 0
