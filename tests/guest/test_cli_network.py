"""The network options of the real command, with real servers, a real proxy and real certificates on loopback."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import trustme
import yaml
from tests.proxy_server import ForwardProxy
from tests.servers import WebServer
from tests.step.helpers import write_step

from wasmexec import Executor, Grants, HttpGrant, MemoryRecorder, Proxy
from wasmexec.step import Step, StepFileError
from wasmexec.step.file.schema import step_schema

GET = """
import httpx
response = httpx.request(LocalVariable.Method, LocalVariable.Url + "/echo", follow_redirects=True)
return [{"status": response.status_code, "method": response.json()["method"]}]
"""
ROW = '[\n{"status":200,"method":"GET"}\n]\n'
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Cli:
    """Runs statements and steps that request one URL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        dropped = {name for lower in PROXY_VARIABLES for name in (lower, lower.upper())} | {
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        }
        self.environment = {name: value for name, value in os.environ.items() if name not in dropped}

    def __call__(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        outcome = subprocess.run(
            [sys.executable, "-m", "wasmexec", *arguments], cwd=self.folder, capture_output=True, text=True,
            encoding="utf-8", check=False, timeout=60, env={**self.environment, **variables},
        )  # fmt: skip
        return outcome.returncode, outcome.stdout, outcome.stderr

    def run(self, url: str, *options: str, method: str = "GET", text: str = GET, **variables: str) -> Any:
        (self.folder / "statement.py").write_text(text)
        local = ["--local", f'Url="{url}"', "--local", f'Method="{method}"']
        return self("run", "statement.py", *local, *options, **variables)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Commands in a folder of their own, in an environment without proxies."""
    return Cli(tmp_path)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private authority."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """Its certificate."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return "ca.pem"


def context_of(authority: trustme.CA, clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    return context


@pytest.fixture
def server() -> Iterator[WebServer]:
    """An http server."""
    with WebServer() as running:
        yield running


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[WebServer]:
    """An https server with a private authority."""
    with WebServer(tls=context_of(authority)) as running:
        yield running


def test_a_private_authority_is_trusted_by_option_or_by_the_variables_of_openssl(
    cli: Cli, tls_server: WebServer, ca_file: str
) -> None:
    allowed = ("--allow-private", tls_server.authority)
    code, _, err = cli.run(tls_server.url(""), *allowed)
    assert code == 1
    assert "the certificate of 127.0.0.1 is not accepted" in err
    assert "a private authority is trusted with --ca-file FILE or HttpGrant(ca_file=...)" in err
    assert cli.run(tls_server.url(""), *allowed, "--ca-file", ca_file)[:2] == (0, ROW)
    assert cli.run(tls_server.url(""), *allowed, SSL_CERT_FILE=ca_file)[:2] == (0, ROW)


def test_methods_and_schemes_are_granted_by_the_text_of_the_option(cli: Cli, server: WebServer) -> None:
    for allowed in (f"GET,HEAD {server.authority}", f"GET http://{server.authority}", f"http://{server.authority}/"):
        assert cli.run(server.url(""), "--allow-private", allowed)[:2] == (0, ROW)
    code, _, err = cli.run(server.url(""), "--allow-private", f"GET,HEAD {server.authority}", method="DELETE")
    assert code == 1
    assert "HTTP DELETE to 127.0.0.1 is not granted, only GET, HEAD: allow it with --allow-private" in err
    code, _, err = cli.run(server.url(""), "--allow-private", f"https://{server.authority}")
    assert code == 1
    assert f'HTTP to {server.url("")} is not granted: allow it with --allow-private "{server.url("")}"' in err
    assert len(server.requests) == 3


def test_a_proxy_is_used_when_it_is_named_or_the_environment_is_asked_for(
    cli: Cli, server: WebServer, tls_server: WebServer, ca_file: str
) -> None:
    with ForwardProxy(credentials="user:p@ss-w0rd") as proxy:
        url = proxy.url.replace("p@ss", "p%40ss")
        for one in (server, tls_server):
            options = ("--allow-private", one.authority, "--ca-file", ca_file)
            assert cli.run(one.url(""), *options, "--proxy", url)[:2] == (0, ROW)
            assert cli.run(one.url(""), *options, "--proxy", "env", HTTP_PROXY=url, HTTPS_PROXY=url)[:2] == (0, ROW)
            assert len(proxy.seen) == 2
            # Not asked for, excepted by option or by the environment: directly.
            assert cli.run(one.url(""), *options, HTTP_PROXY=url, HTTPS_PROXY=url)[:2] == (0, ROW)
            excepted = ("--proxy", url, "--no-proxy", "example.com,127.0.0.0/8")
            assert cli.run(one.url(""), *options, *excepted)[:2] == (0, ROW)
            assert cli.run(one.url(""), *options, "--proxy", "env", ALL_PROXY=url, NO_PROXY="127.0.0.1")[:2] == (0, ROW)
            assert len(proxy.seen) == 2
            assert len(one.requests) == 5
            proxy.seen.clear()
        code, _, err = cli.run(server.url(""), *options, "--proxy", url.replace("w0rd", "w0rld"))
        assert (code, "w0rld" in err, "p%40ss" in err) == (1, False, False)
    code, out, err = cli.run(server.url(""), "--allow-private", server.authority, "--proxy", "env")
    assert (code, out) == (0, ROW)
    assert "note: --proxy env: HTTPS_PROXY, HTTP_PROXY and ALL_PROXY name no proxy, so there is none" in err
    # A private address needs its grant with a proxy, too.
    with ForwardProxy() as proxy:
        code, _, err = cli.run(server.url(""), "--allow-http", server.authority, "--proxy", proxy.url)
        assert (code, proxy.seen) == (1, [])
        assert "HTTP to 127.0.0.1 is refused: it is a loopback address; allow it with --allow-private" in err


REDIRECTED = """
import httpx
async with httpx.AsyncClient(follow_redirects=True) as client:
    response = await client.get(LocalVariable.Url)
    parts = []
    async with client.stream("GET", LocalVariable.Url.replace("/redirect?to=", "/chunks?count=3&size=2&to=")) as stream:
        async for part in stream.aiter_raw():
            parts.append(part.decode())
return [{"text": response.text, "hops": len(response.history), "parts": "".join(parts)}]
"""


def test_redirects_and_streams_run_through_the_proxy_hop_by_hop(
    executor: Executor, server: WebServer, tls_server: WebServer, cli: Cli, ca_file: str
) -> None:
    granted = [HttpGrant("127.0.0.1", ports=[one.port], allow_private=True) for one in (server, tls_server)]
    url = server.url(f"/redirect?to={tls_server.url('/hello')}")
    with ForwardProxy() as proxy:
        grants = Grants(http=granted, ca_file=cli.folder / ca_file, proxy=proxy.url)
        result = executor.run(REDIRECTED, grants=grants, local_variables={"Url": url})
        assert result.rows == [{"text": "hello", "hops": 1, "parts": "001122"}]
        assert [method for method, _ in proxy.seen] == ["GET", "CONNECT", "GET"]
        # A hop that is not granted does not reach the proxy.
        only = Grants(http=granted[:1], proxy=proxy.url)
        result = executor.run(REDIRECTED, grants=only, local_variables={"Url": url})
        assert result.error is not None
        assert f"is granted on port {server.port} only, not on {tls_server.port}" in result.error.message
        assert len(proxy.seen) == 4


def write_identity(folder: Path, clients: trustme.CA) -> None:
    identity = clients.issue_cert("client@example.com")
    identity.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    identity.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    identity.private_key_pem.write_to_path(folder / "key.pem")


def test_a_client_certificate_is_given_for_a_host(cli: Cli, authority: trustme.CA, ca_file: str) -> None:
    clients = trustme.CA()
    write_identity(cli.folder, clients)
    with WebServer(tls=context_of(authority, clients)) as server:
        options = ("--allow-private", server.authority, "--ca-file", ca_file)
        code, _, err = cli.run(server.url(""), *options)
        assert (code, "--client-cert HOST=FILE" in err) == (1, True)
        for given in (
            ["--client-cert", "client.pem"],
            ["--client-cert", "127.0.0.1=client.pem"],
            ["--client-cert", f"{server.authority}=cert.pem", "--client-key", f"{server.authority}=key.pem"],
            ["--client-cert", "127.0.0.1=cert.pem", "--client-key", "key.pem"],
        ):
            assert cli.run(server.url(""), *options, *given)[:2] == (0, ROW)
        # For another host it is not shown.
        more = ("--allow-http", "api.example.com", "--client-cert", "api.example.com=client.pem")
        assert cli.run(server.url(""), *options, *more)[0] == 1
        assert cli.run(server.url(""), *options, "--client-cert", "127.0.0.1:1=client.pem")[0] == 2


REPEAT = """
import httpx
for number in range(3):
    httpx.get(LocalVariable.Url + "/bytes?size=10000").raise_for_status()
return []
"""
CAUGHT = """
import httpx
try:
    for number in range(3):
        httpx.get(LocalVariable.Url + "/bytes?size=10000")
except httpx.HTTPError as error:
    log.warn(error)
return []
"""
CROWDED = """
import httpx
asyncio = httpx._client.typing.sys.modules["asyncio"]
client = httpx.AsyncClient(timeout=httpx.Timeout(9, pool=0.3))
await asyncio.gather(*(client.get(LocalVariable.Url + "/slow?seconds=2") for _ in range(2)))
return []
"""


def test_a_limit_that_is_reached_is_named_by_its_option(cli: Cli, server: WebServer) -> None:
    options = ("--allow-private", server.authority)
    assert cli.run(server.url(""), *options, text=REPEAT)[0] == 0
    for name, value in {"--http-requests": "2", "--http-bytes": "12k"}.items():
        code, _, err = cli.run(server.url(""), *options, name, value, text=REPEAT)
        # The statement sees the limit's name in the API, the user the option.
        assert (code, f"(limit {name[2:].replace('-', '_')})" in err) == (1, True)
        assert err.endswith(f"note: raise the limit with {name}\n")
        code, _, err = cli.run(server.url(""), *options, name, value, text=CAUGHT)
        assert (code, err.endswith(f"note: raise the limit with {name}\n")) == (0, True)
    code, _, err = cli.run(server.url(""), *options, "--http-concurrent", "1", text=CROWDED)
    assert (code, err.endswith("note: raise the limit with --http-concurrent\n")) == (1, True)


@pytest.mark.parametrize(
    ("text", "options", "code", "option"),
    [
        ("await sleep(9)\nreturn []", ["--wall-seconds", "0.3"], 3, "--wall-seconds"),
        ("while True: pass", ["--cpu-seconds", "0.3"], 3, "--cpu-seconds"),
        ("x = bytearray(10**9)\nreturn []", ["--memory", "300MiB"], 3, "--memory"),
        ("return [{'a': 'x' * 5000}]", ["--output-bytes", "1k"], 4, "--output-bytes"),
        ("return []", ["--input", "large.json", "--input-bytes", "1k"], 5, "--input-bytes"),
        ("return []", ["--input", "half.json", "--input2", "half.json", "--input-bytes", "1k"], 5, "--input-bytes"),
    ],
)
def test_every_other_limit_is_named_by_its_option(
    cli: Cli, text: str, options: list[str], code: int, option: str
) -> None:
    (cli.folder / "large.json").write_text(json.dumps(["x" * 2000]))
    (cli.folder / "half.json").write_text(json.dumps(["x" * 600]))
    found, _, err = cli.run("", *options, text=text)
    assert (found, err.splitlines()[-1]) == (code, f"note: raise the limit with {option}")


STEP = """
import httpx
response = httpx.get(LocalVariable.Url + "/echo")
return [{"id": response.status_code}]
"""


def step_cli(cli: Cli, *options: str, **variables: str) -> tuple[int, str, str]:
    return cli("step", "run", "step.step.yaml", "--no-store", "--format", "jsonl", *options, **variables)


def test_a_step_has_certificates_methods_and_a_proxy_in_its_file(cli: Cli, authority: trustme.CA, ca_file: str) -> None:
    clients = trustme.CA()
    write_identity(cli.folder, clients)
    with WebServer(tls=context_of(authority, clients)) as server, ForwardProxy() as proxy:
        grant = f"{{host: 127.0.0.1, ports: [{server.port}], allow_private: true, schemes: [https], methods: [GET]"
        variables = f'{{Url: {{type: text, initial: "{server.url("")}"}}}}'
        keys = "client_cert: cert.pem, client_key: key.pem, ca_file: ca.pem"
        for grants in (
            f"{{http: [{grant}, {keys}}}]}}",
            f"{{ca_file: ca.pem, proxy: {proxy.url}, http: [{grant}, client_cert: client.pem}}]}}",
        ):
            path = write_step(cli.folder, STEP, grants=grants, local_variables=variables, processing="bulk")
            schema = jsonschema_rs.Draft202012Validator(step_schema())
            assert schema.is_valid(yaml.safe_load(path.read_text()))
            code, out, err = step_cli(cli)
            assert (code, out) == (0, '{"id":200}\n'), err
        assert proxy.seen == [("CONNECT", server.authority)]
        # Row by row in worker processes: they have the grants as they are.
        path = write_step(cli.folder, STEP, grants=grants, local_variables=variables)
        (cli.folder / "in.jsonl").write_text("{}\n" * 210)
        code, out, err = step_cli(cli, "--input", "in.jsonl", "--processes", "2")
        assert (code, out) == (0, '{"id":200}\n' * 210), err
        assert len(proxy.seen) == 211


def test_a_step_is_run_on_the_network_of_this_machine(
    cli: Cli, server: WebServer, tls_server: WebServer, ca_file: str
) -> None:
    grants = f"{{http: [{{host: 127.0.0.1, ports: [{tls_server.port}], allow_private: true}}]}}"
    variables = f'{{Url: {{type: text, initial: "{tls_server.url("")}"}}}}'
    write_step(cli.folder, STEP, grants=grants, local_variables=variables, processing="bulk")
    assert step_cli(cli)[0] == 1
    with ForwardProxy() as proxy:
        assert step_cli(cli, "--ca-file", ca_file, "--proxy", proxy.url)[:2] == (0, '{"id":200}\n')
        assert len(proxy.seen) == 1
        assert step_cli(cli, "--ca-file", ca_file, "--proxy", "env", https_proxy=proxy.url)[0] == 0
        assert len(proxy.seen) == 2
    code, _, err = step_cli(cli, "--ca-file", "none.pem")
    assert (code, "none.pem cannot be loaded: No such file or directory" in err) == (2, True)


def test_a_limit_of_a_step_is_named_by_its_key(cli: Cli, server: WebServer) -> None:
    grants = f"{{http: [{{host: 127.0.0.1, ports: [{server.port}], allow_private: true}}]}}"
    variables = f'{{Url: {{type: text, initial: "{server.url("")}"}}}}'
    text = REPEAT.replace("return []", "return [{'id': 1}]")
    keys = {"grants": grants, "local_variables": variables, "processing": "bulk"}
    write_step(cli.folder, text, **keys)
    assert step_cli(cli)[0] == 0
    for limit in ("http_requests: 2", "http_bytes: 12k", "wall_seconds: 0.01", "output_bytes: 5"):
        write_step(cli.folder, text, limits=f"{{{limit}}}", **keys)
        code, _, err = step_cli(cli)
        name = limit.split(":")[0]
        assert code != 0
        assert f"note: raise the limit with `limits: {{{name}: ...}}` in the step file\n" in err
        assert "--" not in err.split("note: raise")[1]


@pytest.mark.parametrize(
    ("grants", "message"),
    [
        ("{proxy: 'http://user:s3cret@proxy:1'}", "proxy: no user name and no password here"),
        ("{proxy: 'socks5://proxy:1'}", "proxy: only http and https proxies are known, not socks5"),
        ("{proxy: 7}", "proxy: expected http://HOST:PORT, or env, got"),
        ("{ca_file: none.pem}", "none.pem cannot be loaded: No such file or directory"),
        ("{http: [{host: a.b, client_cert: none.pem}]}", "none.pem cannot be loaded: No such file or directory"),
        ("{http: [{host: a.b, client_key: key.pem}]}", "client_key needs a client_cert"),
        ("{http: [{host: a.b, schemes: [ftp]}]}", 'schemes: expected http or https, got a text, "ftp"'),
        ("{http: ['GET,TRACE a.b']}", "method TRACE cannot be granted"),
        ("{http: ['https://a.b/c']}", "must be HOST or HOST:PORT, not a URL with a path"),
        ("{htp: []}", "unknown key 'htp'"),
    ],
)
def test_what_is_wrong_with_the_network_of_a_step_is_a_mistake_with_its_place(
    tmp_path: Path, grants: str, message: str
) -> None:
    path = write_step(tmp_path, "return []", grants=grants)
    with pytest.raises(StepFileError) as caught:
        Step.load(path)
    (mistake,) = caught.value.mistakes
    assert message in mistake.message
    assert "s3cret" not in str(caught.value)
    assert mistake.line > 3


def test_recordings_and_replays_know_nothing_of_proxies_and_keys(
    executor: Executor, cli: Cli, authority: trustme.CA, ca_file: str
) -> None:
    clients = trustme.CA()
    write_identity(cli.folder, clients)
    key = (cli.folder / "key.pem").read_text().splitlines()[3]
    with WebServer(tls=context_of(authority, clients)) as server, ForwardProxy(credentials="user:s3cret") as proxy:
        grant = HttpGrant(
            "127.0.0.1", ports=[server.port], allow_private=True, client_cert=cli.folder / "cert.pem",
            client_key=cli.folder / "key.pem",
        )  # fmt: skip
        grants = Grants(http=[grant], ca_file=cli.folder / ca_file, proxy=Proxy(https=proxy.url))
        variables = {"Url": server.url(""), "Method": "GET"}
        recorder = MemoryRecorder()
        first = executor.run(GET, grants=grants, local_variables=variables, recorder=recorder)
        assert first.rows == [{"status": 200, "method": "GET"}]
        assert len(proxy.seen) == 1
    recording = recorder.recording()
    text = repr(recording)
    assert server.authority in text
    for hidden in ("s3cret", proxy.authority, key, "key.pem", "cert.pem"):
        assert hidden not in text
    again = executor.run(GET, local_variables=variables, replay=recording)
    assert (again.rows, again.replay is not None and again.replay.is_identical) == (first.rows, True)
