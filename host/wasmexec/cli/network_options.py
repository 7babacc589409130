"""Options about the network: what a statement may reach, through which proxy, with which certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import ConfigError
from .terminal import note

if TYPE_CHECKING:
    from ..grants import Grants, HttpGrant
    from ..proxy import Proxy
    from ..step import Step

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

GRANTS_HELP = """\
What --allow-http and --allow-private take:

\b
  api.example.com                      ports 80 and 443, the usual methods
  api.example.com:8443                 that port; IPv6 addresses in brackets: [2001:db8::1]:8443
  "*.example.com"                      every name below example.com
  https://api.example.com              nothing without TLS
  "GET,POST https://api.example.com"   these methods only
"""
WAY_HELP = """\
Proxies: --proxy http://USER:PASSWORD@HOST:PORT, with %40 for an @ in the password. Others can read command lines:
--proxy env takes the proxies of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY. The proxy resolves the names, so
that it is up to the proxy to refuse names that lead to private addresses.

Certificates: the system's authorities are those of OpenSSL; SSL_CERT_FILE and SSL_CERT_DIR name others. --ca-file
adds to them.
"""


def grant_options(function: _Decorated) -> _Decorated:
    """What a statement may reach, and how."""
    options = [
        click.option(
            "--allow-http", metavar='"[METHODS] HOST[:PORT]"', multiple=True,
            help="Allow HTTP to a host; see below. Default: no network.",
        ),
        click.option(
            "--allow-private", metavar='"[METHODS] HOST[:PORT]"', multiple=True,
            help="The same for a host on a private network or this machine.",
        ),
        click.option(
            "--client-cert", "client_certs", metavar="[HOST=]FILE", multiple=True,
            help="Certificate (PEM, with its key or a --client-key) for servers that ask for one; HOST as it was "
            "allowed, which may be left out if there is only one.",
        ),
        click.option(
            "--client-key", "client_keys", metavar="[HOST=]FILE", multiple=True,
            help="The private key of --client-cert. The statement sees neither.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def way_options(function: _Decorated) -> _Decorated:
    """Through what the host reaches the network, and whom it trusts there."""
    options = [
        click.option("--proxy", metavar="URL|env", help="Make requests through an HTTP proxy."),
        click.option(
            "--no-proxy", "exceptions", metavar="HOST,...", multiple=True,
            help="Hosts that are reached without it: example.com (and names below), 10.0.0.0/8, *.",
        ),
        click.option(
            "--ca-file", metavar="FILE", help="Also trust the authorities in a PEM file (a company's, a proxy's)."
        ),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def grants_from(values: dict[str, Any]) -> Grants:
    """The grants of `grant_options` and `way_options`.

    Raises:
        click.UsageError: one of them is wrong.
    """
    from ..grants import Grants, HttpGrant

    try:
        http = [
            *(HttpGrant.parse(text) for text in values["allow_http"]),
            *(HttpGrant.parse(text, allow_private=True) for text in values["allow_private"]),
        ]
        certs = _by_grant(values["client_certs"], "--client-cert", http)
        keys = _by_grant(values["client_keys"], "--client-key", http)
        for grant in keys.keys() - certs.keys():
            raise click.BadParameter(f"{grant.host} has no --client-cert", param_hint="--client-key")
        http = [replace(grant, client_cert=certs.get(grant), client_key=keys.get(grant)) for grant in http]
        proxy = _proxy(values["proxy"], values["exceptions"])
        return Grants(http=http, proxy=proxy, ca_file=values["ca_file"])
    except ConfigError as error:
        raise click.UsageError(error.message) from None


def step_on_way(step: Step, values: dict[str, Any]) -> Step:
    """The step with what `way_options` say; what they do not say stays as its file has it.

    Raises:
        click.UsageError: one of them is wrong.
    """
    try:
        return step.on_network(proxy=_proxy(values["proxy"], values["exceptions"]), ca_file=values["ca_file"])
    except ConfigError as error:
        raise click.UsageError(error.message) from None


def _proxy(text: str | None, exceptions: tuple[str, ...]) -> Proxy | None:
    if text is None:
        if exceptions:
            raise click.UsageError("--no-proxy needs a --proxy")
        return None
    from ..proxy import ENVIRONMENT, Proxy, split_exceptions

    proxy = Proxy.parse(text, split_exceptions(exceptions) if exceptions else None)
    if text == ENVIRONMENT and proxy.http is proxy.https is None:
        note("--proxy env: HTTPS_PROXY, HTTP_PROXY and ALL_PROXY name no proxy, so there is none")
    return proxy


def _by_grant(texts: tuple[str, ...], option: str, grants: list[HttpGrant]) -> dict[HttpGrant, str]:
    """The file of each grant that has one."""
    from ..grants import DEFAULT_PORTS, HttpGrant

    found: dict[HttpGrant, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if equals:
            named = HttpGrant.parse(name)
            meant = [grant for grant in grants if grant.host == named.host]
            if named.ports != DEFAULT_PORTS:
                meant = [grant for grant in meant if grant.ports == named.ports]
            problem = f"{name} is not allowed: add --allow-http {name}, or write it as it was allowed"
        else:
            name, path, meant = "the host", text, grants if len({grant.host for grant in grants}) == 1 else []
            problem = f"{len(grants) or 'no'} hosts are allowed: write HOST=FILE for one that is"
        if not meant:
            raise click.BadParameter(problem, param_hint=option)
        if any(grant in found for grant in meant):
            raise click.BadParameter(f"{name} has two of them", param_hint=option)
        found.update(dict.fromkeys(meant, path))
    return found
