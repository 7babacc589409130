"""In place of httpx's own conftest, whose servers need threads and sockets: the server is the host's, for both sides.

A guest cannot run a loop inside its own: there, tests that are coroutines are taken out of pytest's hands, and
`run_later` awaits them when pytest has ended. Natively each gets a loop of its own.
"""

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

IN_GUEST = sys.platform == "wasi"
SETTINGS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSLKEYLOGFILE")
SECONDS = 60.0
later: list[tuple[str, Callable[..., Any], dict[str, Any]]] = []


class Server:
    """Where the host's server is."""

    def __init__(self) -> None:
        self.url = httpx.URL(os.environ["CONFORMANCE_SERVER"])


def pytest_configure(config: Any) -> None:
    config.addinivalue_line("markers", "anyio: a test that is a coroutine")
    config.addinivalue_line("markers", "network: a test that connects to nowhere")
    config.addinivalue_line("filterwarnings", "error")


def pytest_collection_modifyitems(items: list[Any]) -> None:
    if not IN_GUEST:
        return
    for item in list(items):
        given = dict(item.callspec.params) if hasattr(item, "callspec") else {}
        if "server" in item._fixtureinfo.argnames:
            given["server"] = Server()
        if inspect.iscoroutinefunction(item.obj) and set(given) == set(item._fixtureinfo.argnames):
            items.remove(item)
            later.append((item.nodeid, item.obj, given))


def pytest_pyfunc_call(pyfuncitem: Any) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**given), SECONDS))
    return True


async def run_later(reporter: Any, message_of: Callable[[BaseException], str]) -> None:
    """Await the tests that pytest could not run, and report them as it would have."""
    for name, function, given in later:
        if name in reporter.done:
            continue
        reporter.start(name)
        try:
            await asyncio.wait_for(function(**given), SECONDS)
        except BaseException as error:  # pytest.fail and pytest.skip raise what is no Exception
            outcome = "skipped" if isinstance(error, pytest.skip.Exception) else "failed"
            reporter.end(name, outcome, message_of(error))
        else:
            reporter.end(name, "passed", "")


@pytest.fixture(autouse=True)
def clean_environ() -> Iterator[None]:
    original = dict(os.environ)
    for name in SETTINGS:
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
    yield
    os.environ.clear()
    os.environ.update(original)


@pytest.fixture(scope="session")
def server() -> Server:
    return Server()


@pytest.fixture(scope="session")
def https_server() -> None:
    """The one test that names it does not connect to it."""


@pytest.fixture(scope="session")
def cert_authority() -> Any:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_cert_pem_file(cert_authority: Any) -> Iterator[str]:
    with cert_authority.cert_pem.tempfile() as file:
        yield file


@pytest.fixture(scope="session")
def localhost_cert(cert_authority: Any) -> Any:
    return cert_authority.issue_cert("localhost")


@pytest.fixture(scope="session")
def cert_pem_file(localhost_cert: Any) -> Iterator[str]:
    with localhost_cert.cert_chain_pems[0].tempfile() as file:
        yield file


@pytest.fixture(scope="session")
def cert_private_key_file(localhost_cert: Any) -> Iterator[str]:
    with localhost_cert.private_key_pem.tempfile() as file:
        yield file


@pytest.fixture(scope="session")
def cert_encrypted_private_key_file(localhost_cert: Any) -> Iterator[str]:
    key = serialization.load_pem_private_key(localhost_cert.private_key_pem.bytes(), password=None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"password"),
    )
    with trustme.Blob(encrypted).tempfile() as file:
        yield file
