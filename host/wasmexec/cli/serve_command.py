"""`wasmexec serve`: hosts tenants over HTTP."""

from __future__ import annotations

import logging
from typing import Any

import click

from ..server.config import load_config
from .lazy_group import LazyGroup
from .serve_options import server_extra
from .server_options import setting_options
from .terminal import note, say


@click.group(
    "serve",
    cls=LazyGroup,
    names=("audit", "describe", "rotate-secrets-key"),
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

Every setting may stand in a TOML file for --config, too, its name with _ for -, and there alone the most that any
run of any tenant may use:

\b
  max_body_bytes = "16 MiB"
  [limits]
  wall_seconds = 60
  memory_bytes = "1 GiB"

SIGTERM and Ctrl-C end it: it takes no new runs, running ones may end, accepted ones go on at the next start.
""",
)
@click.option("--config", "config_file", metavar="FILE", help="A TOML file of settings; options take precedence.")
@click.option("--check-config", is_flag=True, help="Say whether the settings are right, and nothing else.")
@setting_options
@click.pass_context
def command(context: click.Context, /, config_file: str | None, check_config: bool, **options: Any) -> int:
    """Run the statements of many tenants over HTTP: on one machine, with one SQLite file or PostgreSQL.

    Prints its address and, the first time, a key for the operator, which makes tenants and their keys. docs/serving.md
    has the API by example.
    """
    if context.invoked_subcommand is not None:
        if config_file is not None or check_config or any(value is not None for value in options.values()):
            raise click.UsageError(f"give options to the command: serve {context.invoked_subcommand} ... --option")
        return 0
    with server_extra():
        from ..server.serving import Started, check_server, run_server
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    config = load_config(config_file, options)
    if check_config:
        check_server(config)
        say("the settings are right")
        return 0

    def started(server: Started) -> None:
        say(f"listening at {server.url}")
        if server.metrics_url is not None:
            say(f"metrics at {server.metrics_url}/metrics")
        if server.restored:
            note(f"{server.restored:,} accepted runs go on")
        if server.admin_key is not None:
            say(f"admin key, shown this once: {server.admin_key}")

    run_server(config, started)
    return 0
