"""The command line without a guest: options, wrong usage, messages and exit codes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from wasmexec.cli import main
from wasmexec.cli.exit_codes import exit_code
from wasmexec.cli.parameters import PairType, SizeType, json_value, limits_from, unique
from wasmexec.cli.report import report, source_line
from wasmexec.cli.terminal import clean, show_record
from wasmexec.errors import CpuLimitError, InputError, OutputError, StatementRaised, StatementSyntaxError, WasmexecError
from wasmexec.limits import Limits
from wasmexec.result import LogRecord, Result
from wasmexec.status import Status


@pytest.fixture
def statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A statement file, and a cache folder without an image."""
    monkeypatch.setenv("WASMEXEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WASMEXEC_IMAGE", raising=False)
    path = tmp_path / "statement.py"
    path.write_text("return []\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1048576),
        ("512MiB", 512 * 1024**2),
        ("64k", 64_000),
        ("64 KiB", 65_536),
        ("1.5GB", 1_500_000_000),
        ("2g", 2_000_000_000),
        ("10B", 10),
        ("3mb", 3_000_000),
    ],
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert SizeType().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1TB", "1 2", "1e6", "MiB", "٣"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no size: write bytes or a unit"):
        SizeType().convert(text, None, None)


def test_pairs_have_a_name_that_a_statement_can_use() -> None:
    assert PairType().convert("A=b=c", None, None) == ("A", "b=c")
    assert PairType().convert("A=", None, None) == ("A", "")
    assert PairType(value_optional=True).convert("TOKEN", None, None) == ("TOKEN", "TOKEN")
    for text in ("A", "=x", "a b=x", "1a=x", ""):
        with pytest.raises(click.BadParameter):
            PairType().convert(text, None, None)
    with pytest.raises(click.BadParameter, match="A is given twice"):
        unique((("A", "1"), ("A", "2")), "--local")


def test_json_values_say_how_to_quote_a_text() -> None:
    assert json_value('{"a": [1, null]}', "--checkpoint") == {"a": [1, None]}
    with pytest.raises(click.BadParameter) as caught:
        json_value("north", "--local")
    assert caught.value.message.endswith("; a text needs quotes: '\"north\"'")


def test_there_is_an_option_for_every_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    shown = capsys.readouterr().out
    for name in Limits.__dataclass_fields__:
        assert "--" + name.replace("_", "-") in shown
    values = dict.fromkeys(Limits.__dataclass_fields__)
    assert limits_from(values) == Limits()
    assert limits_from({**values, "memory_bytes": 2**29, "wall_seconds": 1.5}) == Limits(
        memory_bytes=2**29, wall_seconds=1.5
    )


def test_help_documents_the_exit_codes_and_gives_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "Examples:" in capsys.readouterr().out
    assert main(["run", "--help"]) == 0
    shown = capsys.readouterr().out
    for line in (
        "0  the rows were accepted",
        "1  the statement raised (300)",
        "2  nothing ran",
        "4  output refused (306)",
    ):
        assert line in shown


def test_the_version_names_the_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("wasmexec ")


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, 0), (201, 0), (202, 0), (300, 1), (400, 2), (302, 3), (303, 3), (304, 3), (306, 4), (307, 5)],
)
def test_every_status_has_its_exit_code(status: int, code: int) -> None:
    assert exit_code(Status(status)) == code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Usage:"),
        (["rum"], "No such command 'rum'"),
        (["run"], "Missing argument"),
        (["run", "{}", "--nonsense"], "No such option"),
        (["run", "{}", "--memory", "12"], "limits: --memory must be from 1,048,576 to 4,294,967,296, not 12"),
        (["run", "{}", "--wall-seconds", "nan"], "limits: --wall-seconds must be finite, not nan"),
        (["run", "{}", "--http-concurrent", "0"], "limits: --http-concurrent must be from 1 to 1,000, not 0"),
        (["run", "{}", "--log-records", "-1"], "limits: --log-records must be from 0 to 10,000,000, not -1"),
        (["run", "{}", "--http-requests", "many"], "'many' is not a valid integer"),
        (["run", "{}", "--checkpoint", "abc"], "'abc' is not JSON"),
        (["run", "{}", "--local", "a=abc"], "a text needs quotes: '\"abc\"'"),
        (["run", "{}", "--local", "abc"], "'abc' has no '=': write NAME=JSON"),
        (["run", "{}", "--secret", "A=1", "--secret", "A=2"], "A is given twice"),
        (["run", "{}", "--secret-env", "TOKEN=NOT_THERE_42"], "the environment has no variable NOT_THERE_42"),
        (["run", "{}", "--secret", "PATH=1", "--secret-env", "PATH"], "PATH is given by --secret, too"),
        (["run", "{}", "--secret-host", "KEY=a.example"], "there is no secret KEY: add --secret-env KEY or"),
        (["run", "{}", "--secret", "KEY=1", "--secret-host", "KEY=a.example"], "must have 8 to 4,096 characters"),
        (["run", "{}", "--secret", "KEY=12345678", "--secret-also-in", "KEY=body"], "KEY is bound to no host: add"),
        (
            ["run", "{}", "--secret", "K=12345678", "--secret-host", "K=a.b", "--secret-also-in", "K=header"],
            "'header' is neither \"url\" nor \"body\"; headers are always allowed",
        ),
        (["run", "{}", "--secret", "KEY=1a3B5-7_", "--secret-host", "KEY=a/b"], "'a/b' must be HOST or HOST:PORT"),
        (["run", "{}", "--allow-http", "https://example.com/a"], "must be HOST or HOST:PORT, not a URL"),
        (["run", "{}", "--allow-http", "GET,TRACE example.com"], "method TRACE cannot be granted"),
        (["run", "{}", "--proxy", "socks5://u:s3cret@proxy:1"], "only http and https proxies are known, not socks5"),
        (["run", "{}", "--proxy", "http://u:s3cret@proxy:x"], "proxy: it must be http://[USER:PASSWORD@]HOST:PORT"),
        (["run", "{}", "--no-proxy", "a.example"], "--no-proxy needs a --proxy"),
        (["run", "{}", "--proxy", "proxy:1", "--no-proxy", "10.0.0.0/99"], "'10.0.0.0/99' in no_proxy is no host"),
        (["run", "{}", "--ca-file", "none.pem"], "none.pem cannot be loaded: No such file or directory"),
        (["run", "{}", "--ca-file", "{}"], "cannot be loaded: it holds no certificate (PEM)"),
        (["run", "{}", "--client-cert", "c.pem"], "no hosts are allowed: write HOST=FILE for one that is"),
        (
            ["run", "{}", "--allow-http", "a.example", "--allow-http", "b.example", "--client-cert", "c.pem"],
            "2 hosts are allowed: write HOST=FILE",
        ),
        (["run", "{}", "--allow-http", "a.example", "--client-cert", "b.example=c.pem"], "b.example is not allowed:"),
        (["run", "{}", "--allow-http", "a.example", "--client-key", "c.pem"], "a.example has no --client-cert"),
        (["run", "{}", "--allow-http", "a.example", "--client-cert", "none.pem"], "none.pem cannot be loaded: No such"),
        (
            ["run", "{}", "--allow-http", "a.example", "--client-cert", "a", "--client-cert", "a.example=b"],
            "a.example has two of them",
        ),
        (["run", "{}", "--result", "--format", "csv"], "--result prints one JSON object: drop --format"),
        (["run", "-", "--input", "-"], "standard input (-) can be the statement or one input, not both"),
        (["run", "{}", "--input", "-", "--input3", "-"], "standard input (-) can be"),
        (["run", "{}.none"], "cannot be read: No such file or directory"),
        (["run", "."], ". is a folder, not a statement"),
        (["run", "{}", "--input", "none.json"], "the input none.json cannot be read: No such file or directory"),
        (["run", "{}", "--input", "{}"], "the name does not tell its format; add --input-format json, jsonl or csv"),
        (["run", "{}", "--input", "a.csv", "--input", "b.csv"], "--input: given 2 times: a second input is --input2"),
        (["run", "{}", "--input2", "a.csv", "--input2", "b.csv"], "--input2: given 2 times: a second"),
        (["run", "{}", "--output", "rows.parquet"], "rows are written as json, jsonl, csv, table, not as .parquet:"),
        (["run", "{}", "--output", "rows.TSV"], "rows are written as json, jsonl, csv, table, not as .tsv:"),
        (["run", "{}", "--output", "rows.csv.gz"], "rows are written as json, jsonl, csv, table, not as .gz:"),
        (["run", "{}", "--output-schema", "none.json"], "the output schema none.json cannot be read"),
        (["run", "{}", "--output-schema", "{}"], "is not JSON: unexpected character, expected a JSON value at line 1"),
        (["run", "{}", "--lenient"], "--lenient needs an --output-schema with a column list [400 nothing ran]"),
        (["run", "{}"], "no guest image at "),
        (["run", "{}", "--image", "none"], "no guest image at "),
        (["check", "{}"], "no guest image at "),
        (["check", "{}.none"], "cannot be read: No such file or directory"),
        (["image", "info"], "no guest image at "),
        (["image", "verify"], "no guest image at "),
        (["image", "build", "none"], "there is no image 'none'; there are core and full"),
    ],
)  # fmt: skip
def test_what_cannot_run_exits_with_2_and_says_why(
    statement: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([argument.replace("{}", statement) for argument in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert "s3cret" not in shown.err


def test_an_invalid_schema_is_refused_with_its_pointer(
    statement: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('[{"name": "a", "type": "int"}]', encoding="utf-8")
    assert main(["run", statement, "--output-schema", str(schema)]) == 2
    assert (
        "error: output schema, at /0/type: unknown column type 'int', did you mean 'integer'?"
        in capsys.readouterr().err
    )


def test_other_encodings_of_an_input_exit_with_5(
    statement: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "rows.csv"
    source.write_bytes(b"a\n\xff\n")
    assert main(["run", statement, "--input", str(source)]) == 5
    shown = capsys.readouterr().err
    assert f"error: {source} is not UTF-8: byte 0xff at offset 2, in line 2; if it has another encoding, name" in shown
    assert "--input-encoding windows-1252" in shown
    assert main(["run", statement, "--input", str(source), "--result"]) == 5
    assert '"status": 307' in capsys.readouterr().out


def test_a_statement_that_is_no_text_exits_with_2(statement: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(statement).write_bytes(b"return '\xff'\n")
    assert main(["run", statement]) == 2
    assert "the statement is no text: " in capsys.readouterr().err


def test_without_a_schema_the_run_says_what_is_checked(statement: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", statement])
    assert 'note: no --output-schema: only "a list of objects" is checked' in capsys.readouterr().err


def test_a_schema_that_is_checked_by_the_slower_engine_is_noted(
    statement: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = tmp_path / "schema.json"
    for draft, noted in (("03", True), ("04", False)):
        schema.write_text(f'{{"$schema": "http://json-schema.org/draft-{draft}/schema#", "type": "object"}}')
        main(["run", statement, "--output-schema", str(schema)])
        note = "note: --output-schema: rows are checked by jsonschema, the reference implementation, which is some 100"
        assert (note in capsys.readouterr().err) is noted


def test_every_mistake_of_an_output_schema_is_shown(
    statement: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "objekt", "required": "id", "properties": {"a": {"pattern": "("}}}')
    assert main(["run", statement, "--output-schema", str(schema)]) == 2
    shown = capsys.readouterr().err
    for pointer in ("/type", "/required", "/properties/a/pattern"):
        assert f"output schema, at {pointer}: " in shown


SOURCE = "a = 1\n\tb: int = 2\nreturn [a, b]\n"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((1, 1, None), "s.py:1:1\n  a = 1\n  ^"),
        ((1, 1, 2), "s.py:1:1\n  a = 1\n  ^"),
        ((2, 2, 8), "s.py:2:2\n  \tb: int = 2\n  \t^^^^^^"),
        ((3, 8, 99), "s.py:3:8\n  return [a, b]\n         ^^^^^^"),
        ((2, None, None), "s.py:2\n  \tb: int = 2"),
        ((9, 1, None), "s.py:9:1"),
        ((1, 99, None), "s.py:1:99\n  a = 1\n" + " " * 7 + "^"),
    ],
)
def test_the_caret_stands_below_its_column(place: tuple[int, int | None, int | None], expected: str) -> None:
    assert source_line("s.py", SOURCE, *place) == expected


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (
            StatementSyntaxError("type hints are not allowed", rule="type-hint", line=2, column=2),
            400,
            "s.py:2:2\n  \tb: int = 2\n  \t^\nerror: type hints are not allowed [400 nothing ran]\n",
        ),
        (
            StatementRaised("ValueError", "no", 'Traceback:\n  File "<statement>", line 1, in f\nValueError: no\n', 1),
            300,
            ('Traceback:\n  File "s.py", line 1, in f\nValueError: no\n'
            "error: ValueError: no (line 1) [300 the statement raised]\n"),
        ),
        (
            CpuLimitError("out of processor time at line 1", limit=1.0, used=1.01, line=1),
            302,
            ("s.py:1\n  a = 1\nerror: out of processor time at line 1 [302 out of time]\n"
            "note: raise the limit with --cpu-seconds\n"),
        ),
        (
            OutputError("/0/x", "extra", "1", "/0/x: 'x' is not in the output schema"),
            306,
            ("error: /0/x: 'x' is not in the output schema [306 output refused]\n"
            "note: --lenient drops keys that are not in the schema\n"),
        ),
        (InputError("INPUT_DATA is not JSON"), 307, "error: INPUT_DATA is not JSON [307 input refused]\n"),
    ],
)  # fmt: skip
def test_a_failure_shows_its_place_and_a_fix(
    capsys: pytest.CaptureFixture[str], error: WasmexecError, status: int, expected: str
) -> None:
    report(Result(status=Status(status), error=error), "s.py", SOURCE)
    assert capsys.readouterr().err == expected


def test_warnings_and_dropped_records_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    report(Result(status=Status.FINISHED, warnings=["'x' was dropped"], log_dropped=12_000), "s.py", SOURCE)
    assert capsys.readouterr().err == (
        "warning: 'x' was dropped\n"
        "warning: 12,000 log records were dropped: --log-records and --log-bytes set the limits\n"
    )


def test_log_lines_cannot_drive_the_terminal_or_forge_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show_record(LogRecord(1_700_000_000.5, "warn", "a\x1b[2J\x9b\u202e\nb\tc"))
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(".500 warn  a\\x1b[2J\\x9b\\u202e")
    assert second == " " * 19 + "b\tc"
    assert clean("\r\x7f\x00") == "\\r\\x7f\\x00"


def test_building_without_a_checkout_says_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wasmbuild", None)
    monkeypatch.delitem(sys.modules, "wasmbuild.image", raising=False)
    assert main(["image", "build"]) == 2
    assert "building needs a checkout of the project" in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_hurt_nobody(statement: str, closed: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m wasmexec run {shlex.quote(str(statement))} {closed}"
    outcome = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    assert ("no guest image" in outcome.stderr) == ("2>" not in closed)
