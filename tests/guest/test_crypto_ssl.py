"""ssl, hashlib and hmac in a statement: contexts, certificates, TLS over memory, digests; a socket says why not."""

from typing import Any

import pytest
from tests.crypto_keys import pem

import wasmexec

HANDSHAKE = """
import ssl

for name in ("ec", "ec.cert"):
    with open(f"/tmp/{name}.pem", "w") as file:
        file.write(INPUT_DATA[0]["keys"][name])
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_context.load_cert_chain("/tmp/ec.cert.pem", "/tmp/ec.pem")
server_context.set_alpn_protocols(["h2", "http/1.1"])
client_context = ssl.create_default_context(cadata=INPUT_DATA[0]["keys"]["ec.cert"] if TRUSTED else None)
client_context.set_alpn_protocols(["http/1.1"])

to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
client = client_context.wrap_bio(to_client, to_server, server_hostname=HOST)
server = server_context.wrap_bio(to_server, to_client, server_side=True)

def shake(sides):
    waiting = list(sides)
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
        if not waiting:
            return
    raise AssertionError("no end of the handshake")

shake([client, server])
client.write(b"question")
asked = server.read()
server.write(b"answer" * 1000)
answer = client.read(10_000)
peer = client.getpeercert()
return [{
    "version": client.version(), "cipher": client.cipher()[0], "alpn": client.selected_alpn_protocol(),
    "asked": asked.decode(), "answered": len(answer), "peer": [list(pair[0]) for pair in peer["subject"]],
    "names": [name for _, name in peer["subjectAltName"]], "serial": peer["serialNumber"], "until": peer["notAfter"],
}]
"""


def shake_hands(executor: wasmexec.Executor, *, trusted: bool = True, host: str = "service.example") -> wasmexec.Result:
    keys = {name: pem(name) for name in ("ec", "ec.cert")}
    return executor.run(f"TRUSTED = {trusted}\nHOST = {host!r}\n" + HANDSHAKE, input_data=[{"keys": keys}])


def value(executor: wasmexec.Executor, statement: str, expression: str) -> Any:
    result = executor.run(f"{statement}\nreturn [{{'v': {expression}}}]")
    result.raise_for_status()
    return result.rows[0]["v"]


def test_tls_1_3_over_memory_checks_the_certificate_and_carries_data(executor: wasmexec.Executor) -> None:
    result = shake_hands(executor)
    result.raise_for_status()
    assert result.rows == [
        {
            "version": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "alpn": "http/1.1",
            "asked": "question",
            "answered": 6000,
            "peer": [["countryName", "CZ"], ["commonName", "service.example"]],
            "names": ["service.example", "*.example"],
            "serial": "1267",
            "until": "Jan  1 00:00:00 2120 GMT",
        }
    ]


@pytest.mark.parametrize(
    ("trusted", "host", "message"),
    [
        (False, "service.example", "certificate verify failed: self-signed certificate"),
        (True, "other.test", "Hostname mismatch, certificate is not valid for 'other.test'."),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused(
    executor: wasmexec.Executor, trusted: bool, host: str, message: str
) -> None:
    result = shake_hands(executor, trusted=trusted, host=host)
    assert result.status == wasmexec.Status.STATEMENT_RAISED
    assert isinstance(result.error, wasmexec.StatementRaised)
    assert result.error.type_name == "ssl.SSLCertVerificationError"
    assert message in str(result.error)


def test_contexts_have_the_defaults_of_cpython(executor: wasmexec.Executor) -> None:
    statement = "import ssl\ncontext = ssl.create_default_context()"
    expression = (
        "[context.verify_mode.name, context.check_hostname, context.minimum_version.name, context.protocol.name, "
        "ssl.HAS_TLSv1_3, ssl.HAS_ALPN, ssl.HAS_SNI, len(context.get_ciphers()) > 10]"
    )
    assert value(executor, statement, expression) == [
        "CERT_REQUIRED", True, "TLSv1_2", "PROTOCOL_TLS_CLIENT", True, True, True, True,
    ]  # fmt: skip


def test_certificates_turn_between_pem_and_der(executor: wasmexec.Executor) -> None:
    statement = f"import ssl\ntext = {pem('ec.cert')!r}\nder = ssl.PEM_cert_to_DER_cert(text)"
    assert value(executor, statement, "[der[:2].hex(), ssl.DER_cert_to_PEM_cert(der) == text]") == ["3082", True]


NO_SOCKETS = "[Errno 95] there are no sockets inside the guest; use httpx, whose requests the host carries out"
NO_NAMES = "[Errno -2] no host name is resolved inside the guest; use httpx, whose requests the host carries out"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("ssl.socket()", NO_SOCKETS),
        ("ssl.create_connection(('service.example', 443))", NO_NAMES),
        ("ssl.create_connection(('127.0.0.1', 443))", NO_SOCKETS),
        ("ssl.get_server_certificate(('service.example', 443))", NO_NAMES),
    ],
)
def test_a_socket_says_why_it_cannot_be_opened(executor: wasmexec.Executor, call: str, message: str) -> None:
    result = executor.run(f"import ssl\n{call}\nreturn []")
    assert result.status == wasmexec.Status.STATEMENT_RAISED
    assert message in str(result.error)


MODULES = "import warnings\nmodules = warnings.sys.modules\nhashlib, hmac = modules['hashlib'], modules['hmac']"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),
        ("sha512_256", "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
        ("sha3_224", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
        ("ripemd160", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        ("sm3", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        # From the legacy provider, when asked for.
        ("md4", "a448017aaf21d8525fc10ae87aa6729d"),
        ("whirlpool", "4e2448a4c6f486bb16b6562c73b4020b"),
    ],
)
def test_digests_by_name(executor: wasmexec.Executor, name: str, expected: str) -> None:
    assert value(executor, MODULES, f"hashlib.new({name!r}, b'abc').hexdigest()").startswith(expected)


def test_key_derivation_and_macs(executor: wasmexec.Executor) -> None:
    # RFC 7914, section 12 (scrypt) and 11 (PBKDF2); RFC 4231, test case 2.
    scrypt = "hashlib.scrypt(b'password', salt=b'NaCl', n=1024, r=8, p=16, dklen=64).hex()[:32]"
    assert value(executor, MODULES, scrypt) == "fdbabe1c9d3472007856e7190d01e9fe"
    pbkdf2 = "hashlib.pbkdf2_hmac('sha256', b'passwd', b'salt', 1, 64).hex()[:32]"
    assert value(executor, MODULES, pbkdf2) == "55ac046e56e3089fec1691c22544b605"
    mac = "hmac.new(b'Jefe', b'what do ya want for nothing?', 'sha256').hexdigest()[:32]"
    assert value(executor, MODULES, mac) == "5bdcc146bf60754e6a042426089575c7"
    assert value(executor, MODULES, "hmac.compare_digest(b'a', b'a') and not hmac.compare_digest(b'a', b'b')") is True


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("hashlib.new('nope')", "ValueError: unsupported hash type nope"),
        ("hashlib.scrypt(b'x', salt=b'y', n=3, r=1, p=1)", "ValueError: n must be a power of 2."),
        ("hashlib.scrypt(b'x', salt=b'y', n=1 << 20, r=8, p=1)", "memory limit exceeded"),
    ],
)
def test_a_wrong_request_is_a_python_error(executor: wasmexec.Executor, call: str, message: str) -> None:
    result = executor.run(f"{MODULES}\n{call}\nreturn []")
    assert result.status == wasmexec.Status.STATEMENT_RAISED
    assert message in str(result.error)
