"""Whom the host trusts and as whom it speaks: private authorities, client certificates, the environment's files."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from tests.http_caller import Caller, answering, play
from tests.proxy_server import ForwardProxy
from tests.servers import WebServer

from wasmexec import ConfigError, Grants, HttpGrant
from wasmexec._hostcalls.error import HostCallError


class Pki:
    """Two authorities and what they issue, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers, self.clients, self.others = trustme.CA(), trustme.CA(), trustme.CA()
        self.ca_file = self.write("ca.pem", self.servers.cert_pem.bytes())
        self.other_ca_file = self.write("other-ca.pem", self.others.cert_pem.bytes())
        self.both_file = self.write("both.pem", self.others.cert_pem.bytes() + self.servers.cert_pem.bytes())
        identity = self.clients.issue_cert("client@example.com")
        self.client_cert = self.write("client.pem", identity.cert_chain_pems[0].bytes())
        self.client_key = self.write("client.key", identity.private_key_pem.bytes())
        self.client_pem = self.write("both-in-one.pem", identity.private_key_and_cert_chain_pem.bytes())
        stranger = self.others.issue_cert("stranger@example.com")
        self.stranger_pem = self.write("stranger.pem", stranger.private_key_and_cert_chain_pem.bytes())
        self.stranger_key = self.write("stranger.key", stranger.private_key_pem.bytes())
        key = serialization.load_pem_private_key(identity.private_key_pem.bytes(), None)
        locked = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
        self.encrypted_key = self.write("locked.key", locked)

    def write(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return str(self.folder / name)

    def context(self, *, wants_client: bool = False, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.servers.issue_cert("api.example.com", "127.0.0.1").configure_cert(context)
        if version is not None:
            context.maximum_version = version
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            self.clients.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Authorities of this module."""
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def server(pki: Pki) -> Iterator[WebServer]:
    """A server with a private authority."""
    with WebServer(tls=pki.context()) as running:
        yield running


def granted(server: WebServer, host: str = "127.0.0.1", **options: Any) -> HttpGrant:
    return HttpGrant(host, ports=(server.port,), allow_private=True, **options)


def status_of(server: WebServer, *grants: HttpGrant, host: str | None = None, **options: Any) -> object:
    """The status of a request, or the code and message of its failure."""
    found: list[object] = []

    async def script(call: Caller) -> None:
        try:
            found.append((await call.fetch(server.url("/hello", host)))[0])
        except HostCallError as error:
            found.append((error.code, error.message))

    play(list(grants), script, resolver=answering("127.0.0.1"), **options)
    return found[0]


def refusal(outcome: object, code: str) -> str:
    assert isinstance(outcome, tuple)
    assert outcome[0] == code
    return str(outcome[1])


def test_an_authority_of_the_grants_is_trusted_besides_the_systems(
    server: WebServer, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is not accepted" in refusal(status_of(server, granted(server)), "certificate")
    assert status_of(server, granted(server), ca_file=pki.ca_file) == 200
    assert status_of(server, granted(server), ca_file=pki.both_file) == 200
    assert "is not accepted" in refusal(status_of(server, granted(server), ca_file=pki.other_ca_file), "certificate")
    # Besides: with another one added, the system's are trusted still.
    monkeypatch.setenv("SSL_CERT_FILE", pki.ca_file)
    assert status_of(server, granted(server), ca_file=pki.other_ca_file) == 200


def test_an_authority_of_a_grant_is_the_only_one_for_it(server: WebServer, pki: Pki) -> None:
    assert status_of(server, granted(server, ca_file=pki.ca_file), ca_file=pki.other_ca_file) == 200
    outcome = status_of(server, granted(server, ca_file=pki.other_ca_file), ca_file=pki.ca_file)
    assert "is not accepted" in refusal(outcome, "certificate")


def test_a_file_that_is_exchanged_counts_from_the_next_execution(server: WebServer, pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(Path(pki.other_ca_file).read_bytes())
    grants = Grants(http=[granted(server)], ca_file=path)
    assert "is not accepted" in refusal(status_of(server, granted(server), ca_file=str(grants.ca_file)), "certificate")
    path.write_bytes(Path(pki.ca_file).read_bytes())
    assert status_of(server, granted(server), ca_file=str(grants.ca_file)) == 200
    path.unlink()

    with pytest.raises(ConfigError, match="cannot be loaded: No such file or directory"):
        Grants(http=[granted(server)], ca_file=path)


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nxx\n"])
def test_a_file_without_certificates_is_refused_when_the_grant_is_made(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    for make in (lambda: Grants(ca_file=path), lambda: HttpGrant("a.example", ca_file=path)):
        with pytest.raises(ConfigError) as caught:
            make()
        assert caught.value.message.startswith(f"grants: ca_file {path} cannot be loaded: ")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Grants(ca_file=tmp_path)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_gets_that_of_the_grant(pki: Pki, version: ssl.TLSVersion) -> None:
    with WebServer(tls=pki.context(wants_client=True, version=version)) as server:
        without = refusal_of_identity(status_of(server, granted(server, ca_file=pki.ca_file)))
        assert "127.0.0.1" in without
        assert version is ssl.TLSVersion.TLSv1_2 or "HttpGrant(client_cert=...)" in without
        one_file = granted(server, ca_file=pki.ca_file, client_cert=pki.client_pem)
        two_files = granted(server, ca_file=pki.ca_file, client_cert=pki.client_cert, client_key=pki.client_key)
        assert [status_of(server, grant) for grant in (one_file, two_files)] == [200, 200]
        stranger = granted(server, ca_file=pki.ca_file, client_cert=pki.stranger_pem)
        refusal_of_identity(status_of(server, stranger))
        assert len(server.requests) == 2
        # Also with the authority of all grants, and through a proxy, which sees none of it.
        mine = granted(server, client_cert=pki.client_pem)
        assert status_of(server, mine, ca_file=pki.ca_file) == 200
        with ForwardProxy() as proxy:
            assert status_of(server, mine, ca_file=pki.ca_file, proxy=proxy.url) == 200
            assert len(proxy.seen) == 1


def refusal_of_identity(outcome: object) -> str:
    """What is said when the server does not know who we are: by its alert, or by closing the connection."""
    assert isinstance(outcome, tuple)
    assert outcome[0] in ("certificate", "read", "connect")
    return str(outcome[1])


def test_a_certificate_is_shown_to_the_hosts_of_its_grant_only(pki: Pki) -> None:
    context = pki.context(wants_client=True)
    context.verify_mode = ssl.CERT_OPTIONAL
    with WebServer(tls=context) as server:
        mine = granted(server, "api.example.com", ca_file=pki.ca_file, client_cert=pki.client_pem)
        by_method = granted(server, ca_file=pki.ca_file, client_cert=pki.client_pem, methods=["POST"])
        plain = granted(server, ca_file=pki.ca_file)
        for host in ("api.example.com", None):
            assert status_of(server, mine, by_method, plain, host=host) == 200
        assert server.has_client_certificate == [True, False]


@pytest.mark.parametrize(
    ("cert", "key", "reason"),
    [
        ("client_cert", None, "a certificate and its private key are needed (PEM)"),
        ("client_key", None, "a certificate and its private key are needed (PEM)"),
        ("client_cert", "stranger_key", "the key is not that of the certificate"),
        ("client_cert", "encrypted_key", "the key is encrypted; `openssl pkey` makes one that is not"),
        ("client_cert", "ca_file", "a certificate and its private key are needed (PEM)"),
        ("ca_file", "client_key", "the key is not that of the certificate"),
    ],
)
def test_a_wrong_pair_is_refused_when_the_grant_is_made(pki: Pki, cert: str, key: str | None, reason: str) -> None:
    files = {"client_cert": getattr(pki, cert), "client_key": None if key is None else getattr(pki, key)}
    with pytest.raises(ConfigError) as caught:
        HttpGrant("a.example", **files)
    assert caught.value.message.startswith("grants: client_cert ")
    assert caught.value.message.endswith(f" cannot be loaded: {reason}")


def test_no_key_is_in_what_is_shown_of_a_grant(pki: Pki) -> None:
    grant = HttpGrant("a.example", client_cert=pki.client_cert, client_key=pki.client_key)
    secret = Path(pki.client_key).read_text().splitlines()[1]
    assert secret not in repr(grant) + str(Grants(http=[grant]))


def in_child(server: WebServer, **variables: str) -> str:
    """What a request of another process to the server ends with, under these variables."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.security.test_tls_files import granted, status_of
class Server:
    port = {server.port}
    url = staticmethod(lambda path, host=None: "https://127.0.0.1:{server.port}" + path)
print(status_of(Server(), granted(Server())))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT")}
    outcome = subprocess.run(
        [sys.executable, "-c", program], env={**environment, **variables}, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    return outcome.stdout.strip()


def test_the_variables_of_openssl_name_the_systems_authorities(server: WebServer, pki: Pki, tmp_path: Path) -> None:
    assert "is not accepted" in in_child(server)
    assert in_child(server, SSL_CERT_FILE=pki.ca_file) == "200"
    assert "is not accepted" in in_child(server, SSL_CERT_FILE=pki.other_ca_file)
    hashed = tmp_path / "hashed"
    hashed.mkdir()
    subject = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", pki.ca_file], capture_output=True, text=True, check=True
    ).stdout.strip()
    (hashed / f"{subject}.0").write_bytes(Path(pki.ca_file).read_bytes())
    assert in_child(server, SSL_CERT_DIR=str(hashed)) == "200"
    assert in_child(server, SSL_CERT_DIR=f"{tmp_path / 'none'}:{hashed}") == "200"


def test_a_variable_that_names_nothing_useful_is_said_without_its_path(
    server: WebServer, pki: Pki, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    for path in (str(wrong), str(tmp_path / "none.pem"), str(tmp_path)):
        assert in_child(server, SSL_CERT_FILE=path) == "('connect', 'the SSL_CERT_FILE of the host cannot be loaded')"
    for path in (str(tmp_path), str(tmp_path / "none"), pki.ca_file):
        assert in_child(server, SSL_CERT_DIR=path) == "('connect', 'the SSL_CERT_DIR of the host cannot be loaded')"
