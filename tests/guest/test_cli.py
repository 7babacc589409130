"""The real command as a process of its own, on the real image."""

from __future__ import annotations

import http.server
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import WebServer

COMMAND = [sys.executable, "-m", "wasmexec"]
USERS = 'users = [\n    { "name": "Alice" },\n    { "name": "Bob" },\n];\nreturn users\n'


class Outcome:
    """What a finished command left behind."""

    def __init__(self, process: subprocess.CompletedProcess[bytes]) -> None:
        self.code = process.returncode
        self.out = process.stdout.decode()
        self.err = process.stderr.decode()


class Cli:
    """Runs commands in a folder and writes files into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def __call__(self, *arguments: str, stdin: str | bytes = b"", env: dict[str, str] | None = None) -> Outcome:
        process = subprocess.run(
            [*COMMAND, *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            check=False,
            cwd=self.folder,
            timeout=60,
            env={**os.environ, **(env or {})},
        )
        return Outcome(process)

    def run(self, statement: str, *arguments: str, env: dict[str, str] | None = None) -> Outcome:
        return self("run", self.write("statement.py", statement), *arguments, env=env)

    def start(self, statement: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, "run", self.write("statement.py", statement), *arguments],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs commands in a folder of their own."""
    return Cli(tmp_path)


def test_a_statement_from_standard_input_prints_its_rows_as_json(cli: Cli) -> None:
    outcome = cli("run", "-", stdin=USERS)
    assert outcome.code == 0
    assert outcome.out == '[\n{"name":"Alice"},\n{"name":"Bob"}\n]\n'
    assert outcome.err == 'note: no --output-schema: only "a list of objects" is checked\n'


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("json", '[\n{"name":"Alice"},\n{"name":"Bob"}\n]\n'),
        ("jsonl", '{"name":"Alice"}\n{"name":"Bob"}\n'),
        ("csv", "name\nAlice\nBob\n"),
        ("table", "┏━━━━━━━┓\n┃ name  ┃\n┡━━━━━━━┩\n│ Alice │\n│ Bob   │\n└───────┘\n2 rows\n"),
    ],
)
def test_rows_come_in_every_format(cli: Cli, form: str, expected: str) -> None:
    schema = cli.write("schema.json", '[{"name": "name", "type": "text"}]')
    outcome = cli.run(USERS, "--format", form, "--output-schema", schema)
    assert (outcome.code, outcome.out, outcome.err) == (0, expected, "")


def test_inputs_of_all_formats_reach_the_statement(cli: Cli) -> None:
    statement = "return [{'one': INPUT_DATA, 'two': INPUT_DATA2, 'three': INPUT_DATA3, 'four': INPUT_DATA4}]"
    outcome = cli.run(
        statement, "--input", cli.write("a.csv", "id,name\n1,Eva\n"),
        "--input2", cli.write("b.jsonl", '{"a": 1}\n{"a": 2}\n'), "--input4", cli.write("d.json", "[]"),
    )  # fmt: skip
    assert outcome.code == 0
    assert json.loads(outcome.out) == [
        {"one": [{"id": "1", "name": "Eva"}], "two": [{"a": 1}, {"a": 2}], "three": None, "four": []}
    ]


def test_the_input_may_be_standard_input(cli: Cli) -> None:
    name = cli.write("double.py", "return [{'n': row['n'] * 2} for row in INPUT_DATA]")
    assert cli("run", name, "--input", "-", "--format", "jsonl", stdin='[{"n": 21}]').out == '{"n":42}\n'
    outcome = cli("run", name, "--input", "-", "--input-format", "csv", "--format", "jsonl", stdin="n\n21\n")
    assert outcome.out == '{"n":"2121"}\n'


def test_checkpoint_and_local_variables_reach_the_statement(cli: Cli) -> None:
    outcome = cli.run(
        "return [{'since': DATA_CHECKPOINT, 'region': LocalVariable.region, 'limit': LocalVariable.limit}]",
        "--checkpoint", '{"id": 7}', "--local", 'region="north"', "--local", "limit=2.5",
    )  # fmt: skip
    assert json.loads(outcome.out) == [{"since": {"id": 7}, "region": "north", "limit": 2.5}]


def test_a_json_schema_refuses_rows_with_pointer_and_exit_code_4(cli: Cli) -> None:
    schema = cli.write("schema.json", json.dumps({"properties": {"n": {"type": "integer"}}, "required": ["n"]}))
    assert cli.run("return [{'n': 1}]", "--output-schema", schema).code == 0
    outcome = cli.run("return [{'n': 1}, {'n': 'x'}]", "--output-schema", schema)
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err == "error: /1/n: the value is not of type \"integer\", got 'x' [306 output refused]\n"


def test_the_vendors_fourth_statement_needs_lenient_mode(cli: Cli) -> None:
    names = ("text", "integer", "double", "boolean", "datetime", "base64", "json")
    schema = cli.write("schema.json", json.dumps([{"name": n, "type": n, "allow_null": True} for n in names]))
    statement = (
        "import json;\nlog.warn(json.dumps(INPUT_DATA));\nrows = [{\n"
        "  'text': 't', 'integer': 1, 'double': 1.5, 'boolean': True,\n"
        "  'datetime': '10/16/2036 09:22:33', 'base64': 'not Base64', 'json': '[]', 'more': 1,\n}];\nreturn rows;\n"
    )
    strict = cli.run(statement, "--output-schema", schema)
    assert strict.code == 4
    assert "error: /0/more: 'more' is not in the output schema; write `for row in rows: del row" in strict.err
    assert "note: --lenient drops keys that are not in the schema" in strict.err
    lenient = cli.run(statement, "--output-schema", schema, "--lenient")
    assert lenient.code == 0
    assert json.loads(lenient.out) == [
        {
            "text": "t", "integer": 1, "double": 1.5, "boolean": True, "datetime": "10/16/2036 09:22:33",
            "base64": "not Base64", "json": "[]",
        }
    ]  # fmt: skip
    assert " warn  null\n" in lenient.err
    assert "warning: 'more' is not in the output schema: dropped from 1 row\n" in lenient.err


def test_what_is_no_list_of_objects_is_refused_without_a_schema_too(cli: Cli) -> None:
    for statement in ("return {'a': 1}", "return [1]", "a = 1"):
        outcome = cli.run(statement)
        assert (outcome.code, outcome.out) == (4, "")
        assert "[306 output refused]" in outcome.err


def test_a_value_that_is_no_json_is_refused_with_its_pointer(cli: Cli) -> None:
    outcome = cli.run("rows = [{'a': [1, {'b': float('inf')}]}]\nreturn rows")
    assert (outcome.code, outcome.out) == (4, "")
    assert "error: /0/a/1/b: " in outcome.err
    assert "error: /0/a/0: the list contains itself [306" in cli.run("x = []\nx.append(x)\nreturn [{'a': x}]").err


def test_log_lines_appear_while_the_statement_runs(cli: Cli) -> None:
    process = cli.start("log.info('first')\nawait sleep(30)\nreturn []")
    assert process.stderr is not None
    lines = [process.stderr.readline(), process.stderr.readline()]
    assert process.poll() is None
    assert lines[0].startswith("note: ")
    assert lines[1].endswith(" info  first\n")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


@pytest.mark.timing
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", ["await sleep(60)", "while True: pass", "import time; time.sleep(60)"])
def test_an_interrupt_cancels_the_execution(cli: Cli, number: signal.Signals, work: str) -> None:
    process = cli.start(f"print('started')\n{work}\nreturn []", "--result")
    assert process.stderr is not None
    while not process.stderr.readline().endswith("started\n"):
        assert process.poll() is None
    sent = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - sent < 5
    assert process.returncode == 3
    assert "error: cancelled by the user [303 cancelled]" in err
    assert "Traceback" not in err
    record = json.loads(out)
    assert record["status"] == 303
    assert [item["message"] for item in record["logs"]] == ["started"]


def test_the_whole_record_is_one_json_object(cli: Cli) -> None:
    outcome = cli.run("log.error('oops')\nreturn [{'n': 2**70}]", "--result")
    assert outcome.code == 0
    record = json.loads(outcome.out)
    assert record["status"] == 202
    assert record["rows"] == [{"n": 2**70}]
    assert [(item["level"], item["message"]) for item in record["logs"]] == [("error", "oops")]
    assert record["error"] is None
    assert record["usage"]["wall_seconds"] > 0
    assert record["usage"]["peak_memory_bytes"] > 1_000_000
    failed = json.loads(cli.run("return 1 / 0", "--result").out)
    assert (failed["status"], failed["rows"], failed["error"]["type_name"]) == (300, [], "ZeroDivisionError")


@pytest.mark.parametrize(
    ("statement", "place", "message"),
    [
        ("a = 1\nb: int = 2\nreturn []\n", "statement.py:2:", "b: int = 2"),
        ("a = (1\nreturn []\n", "statement.py:1:", "a = (1"),
        ("yield 1\n", "statement.py:1:1", "yield 1"),
    ],
)
def test_a_statement_that_does_not_compile_exits_with_2(cli: Cli, statement: str, place: str, message: str) -> None:
    outcome = cli.run(statement)
    assert (outcome.code, outcome.out) == (2, "")
    lines = outcome.err.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith(place))
    assert lines[at + 1] == f"  {message}"
    assert set(lines[at + 2].strip()) == {"^"}
    assert lines[at + 3].endswith("[400 nothing ran]")


def test_an_exception_shows_the_users_file_line_and_caret_and_exits_with_1(cli: Cli) -> None:
    outcome = cli.run("def f(x):\n    return 1 / x\n\nreturn [{'a': f(0)}]\n")
    assert (outcome.code, outcome.out) == (1, "")
    assert '  File "statement.py", line 2, in f\n    return 1 / x\n' in outcome.err
    assert "~~^~~" in outcome.err
    assert "error: ZeroDivisionError: division by zero (line 2) [300 the statement raised]" in outcome.err
    assert str(cli.folder) not in outcome.err
    assert sys.prefix not in outcome.err


def test_an_endless_loop_is_out_of_time_with_its_line(cli: Cli) -> None:
    outcome = cli.run("def spin():\n    while True:\n        pass\n\nspin()\nreturn []\n", "--cpu-seconds", "0.5")
    assert (outcome.code, outcome.out) == (3, "")
    assert "statement.py:2\n" in outcome.err or "statement.py:3\n" in outcome.err
    assert "[302 out of time]" in outcome.err
    assert "note: raise the limit with --cpu-seconds" in outcome.err


def test_a_sleep_over_the_wall_limit_is_out_of_time(cli: Cli) -> None:
    outcome = cli.run("await sleep(30)\nreturn []", "--wall-seconds", "0.3")
    assert outcome.code == 3
    assert "[302 out of time]" in outcome.err
    assert "note: raise the limit with --wall-seconds" in outcome.err


def test_a_guest_that_exits_is_a_failed_runtime(cli: Cli) -> None:
    outcome = cli.run("import random\nrandom._os._exit(7)\nreturn []")
    assert outcome.code == 3
    assert "[304 runtime failed]" in outcome.err


def test_an_input_that_is_no_json_or_no_utf8_exits_with_5(cli: Cli) -> None:
    name = cli.write("s.py", "return []")
    outcome = cli("run", name, "--input", "-", stdin='[{"a": 1},]')
    assert outcome.code == 5
    assert "[307 input refused]" in outcome.err
    outcome = cli("run", name, "--input", "-", stdin=b'["\xe9"]')
    assert outcome.code == 5
    assert "error: standard input is not UTF-8: byte 0xe9 at offset 2, in line 1; if it has" in outcome.err
    assert "--input-encoding windows-1252" in outcome.err


def test_limits_are_taken_from_the_options(cli: Cli) -> None:
    rows = "return [{'n': number} for number in range(1000)]"
    assert cli.run(rows, "--output-bytes", "1MB").code == 0
    outcome = cli.run(rows, "--output-bytes", "1k")
    assert outcome.code == 4
    assert "note: raise the limit with --output-bytes" in outcome.err
    outcome = cli.run("return []", "--memory", "1MiB")
    assert outcome.code == 2
    assert "limits: --memory must be at least" in outcome.err


def test_dropped_log_records_are_counted(cli: Cli) -> None:
    outcome = cli.run("for n in range(100):\n    log.info(n)\nreturn []", "--log-records", "10")
    assert outcome.code == 0
    assert outcome.err.count(" info  ") == 10
    assert "warning: 90 log records were dropped" in outcome.err


def test_an_error_after_a_flood_is_shown(cli: Cli) -> None:
    flood = "for n in range(10, 110):\n    log.info(n)\nlog.error('the disk is full')\nlog.warn('slow')\nreturn []"
    for limit in (("--log-records", "10"), ("--log-bytes", "20")):
        outcome = cli.run(flood, *limit)
        assert outcome.code == 0
        assert outcome.err.count(" info  ") == 10
        assert " error the disk is full\n" in outcome.err
        assert " warn  slow\n" in outcome.err
        assert "warning: 90 log records were dropped" in outcome.err


def test_secrets_are_masked_wherever_they_show_up(cli: Cli) -> None:
    statement = "log.info('token ' + LocalVariable.TOKEN)\nraise ValueError(LocalVariable.PIN)"
    outcome = cli.run(
        statement, "--secret-env", "TOKEN=MY_TOKEN_42", "--secret", "PIN=pin-2317", env={"MY_TOKEN_42": "s3cr3t-value"}
    )
    assert outcome.code == 1
    assert " info  token ***\n" in outcome.err
    assert "ValueError: ***" in outcome.err
    assert "s3cr3t-value" not in outcome.err
    assert "pin-2317" not in outcome.err


def test_a_secret_goes_into_a_body_if_it_is_told_to(cli: Cli) -> None:
    statement = """
import httpx
httpx.post(LocalVariable.URL + "/echo", data={"client_secret": LocalVariable.TOKEN})
return []
"""
    with WebServer() as server:
        options = ["--allow-private", server.authority, "--local", f'URL="{server.url("")}"', "--secret-env", "TOKEN"]
        options += ["--secret-host", f"TOKEN=http://{server.authority}"]
        told = cli.run(statement, *options, "--secret-also-in", "TOKEN=body", env={"TOKEN": "s3cr3t/value"})
        untold = cli.run(statement, *options, env={"TOKEN": "s3cr3t/value"})
        assert (told.code, untold.code) == (0, 0)
        assert server.bodies_seen[0] == b"client_secret=s3cr3t%2Fvalue"
        assert b"s3cr3t" not in server.bodies_seen[1]
    assert "placeholder" not in told.err
    assert "has its placeholder in the body, not its value: allow it with" in untold.err
    assert "--secret-also-in TOKEN=body" in untold.err


def test_a_secret_with_a_host_is_a_placeholder_in_the_statement(cli: Cli) -> None:
    statement = """
import httpx
url, key = LocalVariable.URL, LocalVariable.TOKEN
log.info(key)
httpx.get(url + "/echo", headers={"Authorization": key})
return [{"length": len(key)}]
"""
    with WebServer() as server:
        options = ["--allow-private", server.authority, "--local", f'URL="{server.url("")}"', "--secret-env", "TOKEN"]
        for host in (f"http://{server.authority}", "other.example"):
            outcome = cli.run(statement, *options, "--secret-host", f"TOKEN={host}", env={"TOKEN": "s3cr3t-value"})
            assert (outcome.code, json.loads(outcome.out)) == (0, [{"length": 12}])
            assert "s3cr3t-value" not in outcome.err
            assert "***" not in outcome.err
        filled, kept = (seen["authorization"] for seen in server.headers_seen)
    assert filled == "s3cr3t-value"
    assert len(kept) == 12
    assert kept in outcome.err


@pytest.fixture
def server_port() -> Iterator[int]:
    """A server on loopback that answers every GET with JSON."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"path": "%b"}' % self.path.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_http_needs_an_option_and_a_private_host_another_one(cli: Cli, server_port: int) -> None:
    host = f"127.0.0.1:{server_port}"
    statement = (
        f"import httpx\nasync with httpx.AsyncClient() as client:\n    answer = await client.get('http://{host}/x')\n"
        "return [answer.json()]"
    )
    refused = cli.run(statement)
    assert refused.code == 1
    assert "127.0.0.1" in refused.err
    public = cli.run(statement, "--allow-http", host)
    assert public.code == 1
    allowed = cli.run(statement, "--allow-private", host)
    assert (allowed.code, json.loads(allowed.out)) == (0, [{"path": "/x"}])


def test_a_reader_that_leaves_early_causes_no_noise(cli: Cli) -> None:
    name = cli.write("many.py", "return [{'n': number, 'text': 'x' * 100} for number in range(50_000)]")
    shell = f"{shlex.quote(sys.executable)} -m wasmexec run {name} --format jsonl | head -n 2"
    process = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, cwd=cli.folder, check=False)
    outcome = Outcome(process)
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 2
    assert outcome.err == 'note: no --output-schema: only "a list of objects" is checked\n'


def test_check_lists_problems_with_line_and_column(cli: Cli) -> None:
    name = cli.write("bad.py", "import os\nx: int = 1\nreturn []\n")
    outcome = cli("check", name)
    assert outcome.code == 2
    places = [line.split(": ", 1)[0] for line in outcome.out.splitlines()]
    assert places == ["bad.py:1:8", "bad.py:2:4"]
    assert "2 problems in bad.py" in outcome.err
    problems = json.loads(cli("check", name, "--format", "json").out)
    assert [(item["file"], item["rule"], item["line"]) for item in problems] == [
        ("bad.py", "import", 1), ("bad.py", "type-hint", 2),
    ]  # fmt: skip


def test_check_runs_nothing_and_exits_with_0_when_all_is_well(cli: Cli) -> None:
    outcome = cli("check", "-", stdin="import json\nprint('ran')\nreturn []\n")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "0 problems in <stdin>\n")


def test_image_info_describes_the_image(cli: Cli) -> None:
    outcome = cli("image", "info")
    assert outcome.code == 0
    assert "(the default)" in outcome.out
    described = json.loads(cli("image", "info", "--format", "json").out)
    assert {"name", "size", "packages", "modules", "wasmtime"} <= described[0].keys()


def test_output_is_utf8_whatever_the_locale(cli: Cli) -> None:
    env = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0", "LC_ALL": "C"}
    assert cli.run("return [{'a': 'žluť €'}]", "--format", "jsonl", env=env).out == '{"a":"žluť €"}\n'
