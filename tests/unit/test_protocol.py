"""guest/PROTOCOL.md is the one source: host, guest and the hand-written guests of the tests agree with its tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from tests.reading import ROOT, Row, c_constants, marked, python_constants, read, table

PAGE = read("guest/PROTOCOL.md")
CHANNEL_H = read("guest/native/channel.h")
CHANNEL_PY = read("host/wasmexec/_guest/channel.py")
IMPORTS_PY = read("host/wasmexec/_guest/interface.py")
FAKE_GUEST = read("tests/fake_guest.py")
UNITS = {"": 1, "bytes": 1, "seconds": 1, "characters": 1, "KiB": 1024, "MiB": 1024**2}

WORDS = table(PAGE, "word", "name", "meaning")
STATES = table(PAGE, "state", "name", "meaning")
FUNCTIONS = table(PAGE, "module", "function", "parameters", "what it does")
EXPORTS = table(PAGE, "function", "type", "what it does")
LEVELS = [row["name"] for row in table(PAGE, "level", "name")]
SIZES = table(PAGE, "size", "value", "where")


def named(rows: list[Row], number: str) -> dict[str, int]:
    return {row["name"]: int(row[number]) for row in rows}


def function(text: str, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    [found] = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    return found


def value_of(cell: str) -> float:
    """What a cell of the column `value` says: `16 KiB`, `4096 bytes`, `0x31`, "`output_bytes` and 16 MiB"."""
    match = re.search(r"(0x[0-9a-f]+|[0-9][0-9,]*)(?: ([A-Za-z]+))?", cell.rpartition(" and ")[2])
    assert match is not None, cell
    number = int(match[1], 16) if match[1].startswith("0x") else int(match[1].replace(",", ""))
    return number * UNITS[match[2] or ""]


def constant(path: str, name: str) -> object:
    return (c_constants if path.endswith((".c", ".h")) else python_constants)(read(path))[name]


def test_the_words_of_the_header_stand_in_the_same_order_everywhere() -> None:
    page = named(WORDS, "word")
    assert list(page.values()) == list(range(len(page)))
    header_c = c_constants(CHANNEL_H)
    assert {name: header_c[f"WX_{name.upper()}"] for name in page} == page
    [header_py] = [node for node in ast.walk(ast.parse(CHANNEL_PY)) if getattr(node, "name", "") == "Header"]
    assert isinstance(header_py, ast.ClassDef)
    fields = [ast.unparse(node.target) for node in header_py.body if isinstance(node, ast.AnnAssign)]
    assert fields[: len(page)] == list(page)
    assert fields[len(page) :] == [f"reserved_{word}" for word in range(len(page), header_c["WX_WORDS"])]
    assert f'"<{header_c["WX_WORDS"]}I"' in CHANNEL_PY
    assert python_constants(CHANNEL_PY)["HEADER_BYTES"] == 4 * header_c["WX_WORDS"]
    assert python_constants(CHANNEL_PY)["_INBOX_AT"] == 4 * page["inbox_ptr"]


def test_the_hand_written_guest_fills_the_words_as_the_page_says() -> None:
    words = re.search(r"words = \[(.*?)\]", FAKE_GUEST, re.DOTALL)
    assert words is not None
    parts = [ast.unparse(part) for part in ast.parse(f"[{words[1]}]", mode="eval").body.elts]  # type: ignore[attr-defined]
    page, names = named(WORDS, "word"), python_constants(FAKE_GUEST)
    assert len(parts) == c_constants(CHANNEL_H)["WX_WORDS"]
    assert int(parts[page["magic"]]) == python_constants(CHANNEL_PY)["MAGIC"]
    assert int(parts[page["version"]]) == python_constants(CHANNEL_PY)["VERSION"]
    by_name = {
        "state": "READY",
        "inbox_ptr": "INBOX",
        "outbox_ptr": "OUTBOX",
        "where_ptr": "WHERE",
        "inbox_cap": "BOX_BYTES",
    }
    assert {name: parts[page[name]] for name in by_name} == by_name
    # The state is stored by its byte offset in the text of the module.
    assert f"(i32.const {{HEADER + {4 * page['state']}}})" in FAKE_GUEST
    assert set(by_name.values()) <= names.keys()


def test_the_image_begins_with_the_magic_and_version_that_the_host_expects() -> None:
    initial = dict(re.findall(r"\[WX_(\w+)\] = (\w+),", read("guest/native/channel.c")))
    assert int(initial["MAGIC"].removesuffix("u"), 16) == python_constants(CHANNEL_PY)["MAGIC"]
    assert int(initial["VERSION"]) == python_constants(CHANNEL_PY)["VERSION"]
    assert initial["STATE"] == "WX_READY"


def test_the_states_are_the_same_everywhere() -> None:
    page = named(STATES, "state")
    header_c, host, fake = c_constants(CHANNEL_H), python_constants(CHANNEL_PY), python_constants(FAKE_GUEST)
    for name, number in page.items():
        assert header_c[f"WX_{name.upper()}"] == host[f"State.{name.upper()}"] == fake[name.upper()] == number, name
    [states] = re.findall(r"enum wx_state \{([^}]*)\}", CHANNEL_H)
    assert len(states.split(",")) == len(page)
    assert len([name for name in host if name.startswith("State.")]) == len(page)
    guest = python_constants(read("guest/wasmexec_guest/execution.py"))
    assert (guest["WAITING"], guest["DONE"]) == (page["waiting"], page["done"])


def test_the_functions_of_the_host_are_declared_alike() -> None:
    page = {
        (row["module"].strip("`"), row["function"].strip("`")): re.findall(r"\b(i32|i64)\b", row["parameters"])
        for row in FUNCTIONS
    }
    own = {name: kinds for (module, name), kinds in page.items() if module == "wasmexec"}
    wasi = {name for module, name in page if module == "wasi_snapshot_preview1"}
    assert len(own) + len(wasi) == len(page)
    declared = {
        name: ["i64" if "int64_t" in part else "i32" for part in parameters.split(",")]
        for name, parameters in re.findall(r"WX_HOST\((\w+)\) int32_t \w+\((.*?)\);", CHANNEL_H)
    }
    callbacks = {
        name: ["i64" if letter == "I" else "i32" for letter in signature]
        for name, signature in re.findall(r'"(\w+)": \(_callback\([^)]*\), "(\w+)"\)', IMPORTS_PY)
    }
    fake = {
        name: kinds.split()
        for name, kinds in re.findall(r'\(import "wasmexec" "(\w+)" \(func \$\w+ \(param ([^)]*)\)', FAKE_GUEST)
    }
    assert declared == own == fake
    assert callbacks == {name: kinds for (_, name), kinds in page.items()}
    [allowed] = re.findall(r"ALLOWED_WASI = frozenset\(\{(.*?)\}\)", IMPORTS_PY)
    assert set(re.findall(r"\w+", allowed)) == wasi


def test_the_functions_of_the_guest_are_declared_alike() -> None:
    page = {row["function"].strip("`"): row["type"] for row in EXPORTS}
    [required] = re.findall(r"REQUIRED_EXPORTS = \{(.*?)\}", IMPORTS_PY, re.DOTALL)
    assert dict(re.findall(r'"(\w+)": "(.*?)"', required)) == page
    native = "".join(read(f"guest/native/{name}.c") for name in ("boot", "channel", "frames", "where"))
    exported = set(re.findall(r"WX_EXPORT\((\w+)\)", native)) - {"wx_boot"}
    assert exported == page.keys() - {"_initialize"}
    assert set(re.findall(r'\(export "(w?\w+)"\)', FAKE_GUEST)) == {*page, "memory"}


def test_the_answers_below_zero_are_those_of_the_page() -> None:
    header_c = c_constants(CHANNEL_H)
    sentence = f"{header_c['WX_MALFORMED']} the request is malformed, {header_c['WX_ENDING']} the execution is ending"
    assert sentence in " ".join(PAGE.split())


def test_the_log_levels_are_the_same_everywhere() -> None:
    assert python_constants(read("host/wasmexec/result.py"))["LEVELS"] == tuple(LEVELS)
    guest = python_constants(read("guest/wasmexec_guest/logs.py"))
    assert [guest[name.upper()] for name in LEVELS] == list(range(len(LEVELS)))


def test_the_kinds_of_frames_are_those_that_the_guest_serves_and_the_host_expects() -> None:
    from_host = [marked(row["kind"])[0] for row in table(PAGE, "kind", "fields", "answered by")]
    served = [
        node.comparators[0].value
        for node in ast.walk(function(read("guest/wasmexec_guest/service.py"), "serve"))
        if isinstance(node, ast.Compare) and isinstance(node.comparators[0], ast.Constant)
    ]
    assert set(served) <= set(from_host)
    assert {"run", "check", "resume"} <= set(served)
    from_guest = [marked(row["kind"])[0] for row in table(PAGE, "kind", "fields")]
    [kinds] = re.findall(r"_FRAME_KINDS[^=]*= \{(.*?)\}", read("host/wasmexec/_execution/guest_run.py"))
    assert re.findall(r'"(\w+)"', kinds) == from_guest


def test_the_kinds_of_errors_are_those_that_the_host_reads() -> None:
    page = [marked(row["error kind"])[0] for row in table(PAGE, "error kind", "fields besides `message`", "status")]
    read_error = function(read("host/wasmexec/_execution/response.py"), "read_error")
    known = {
        node.value.value
        for node in ast.walk(read_error)
        if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant)
    }
    assert known == set(page)


def test_the_operations_are_those_of_the_capability() -> None:
    page = tuple(marked(row["operation"])[0] for row in table(PAGE, "operation", "what it does"))
    assert python_constants(read("host/wasmexec/_hostcalls/http/message.py"))["OPERATIONS"] == page


def error_codes() -> Iterator[str]:
    """Every error code that a module of the host calls gives, as a literal."""
    rooms = [ROOT / "host/wasmexec" / name for name in ("_hostcalls", "_replay")]
    for path in sorted(path for room in rooms for path in room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="HostCallError" | "failure"), args=[ast.Constant(value=str(code)), *_]):
                    yield code
                case (
                    ast.AnnAssign(target=ast.Name(id="_CODES"), value=value)
                    | ast.Assign(targets=[ast.Name(id="_CODES")], value=value)
                ) if value is not None:
                    texts = (item.value for item in ast.walk(value) if isinstance(item, ast.Constant))
                    yield from (text for text in texts if isinstance(text, str))


def test_every_error_code_is_on_the_page_and_known_to_each_transport() -> None:
    page = {marked(row["error code"])[0] for row in table(PAGE, "error code", "meaning")}
    given = set(error_codes())
    assert given <= page
    assert page - given <= {"certificate", "pool_timeout"}  # given by way of a variable
    mapped = {
        path.name: frozenset(key.value for key in node.keys if isinstance(key, ast.Constant))
        for path in (ROOT / "guest/wasmexec_guest/transports").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Dict) and any(ast.unparse(key) == "'connect_timeout'" for key in node.keys if key)
    }
    assert mapped == dict.fromkeys(
        ("httpx_extensions.py", "http_client.py", "aiohttp.py"), frozenset(page - {"limit", "internal"})
    )


@pytest.mark.parametrize("row", SIZES, ids=lambda row: row["size"])
def test_a_size_on_the_page_is_the_one_in_the_code(row: Row) -> None:
    path, name = marked(row["where"])
    assert constant(path, name) == value_of(row["value"])


def size(name: str) -> float:
    [found] = [value_of(row["value"]) for row in SIZES if row["size"] == name]
    return found


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("what `wx_where` writes, guest", "what `wx_where` writes, host"),
        ("problems that the guest gives", "problems that the host takes"),
        ("piece of a request body, guest", "piece of a request body, host"),
        ("body that goes along with its request, guest", "head of a frame from the guest"),
        ("piece of a response body, guest", "piece of a response body, host"),
        ("requests of async clients under way, guest", "calls under way"),
        ("message that the guest gives", "text of an error that the host takes"),
        ("traceback that the guest gives", "text of an error that the host takes"),
    ],
)
def test_what_the_guest_gives_the_host_takes(given: str, taken: str) -> None:
    assert 0 < size(given) <= size(taken)


def test_every_place_that_the_page_names_exists() -> None:
    paths = [item for item in marked(PAGE) if "/" in item and " " not in item]
    assert len(paths) > len(SIZES)
    assert [path for path in paths if not (ROOT / path).exists()] == []


class TestReaders:
    """Positive controls: a constant that moved, a word that was swapped and a table that is gone are seen."""

    def test_c_enums_are_counted_as_c_counts(self) -> None:
        text = "enum wx { A, B, /* C, */ D = 7, E };\nenum { F = 64 * 1024, G = 1 << 20, H = -1 };"
        assert c_constants(text) == {"A": 0, "B": 1, "D": 7, "E": 8, "F": 65536, "G": 1048576, "H": -1}

    def test_python_constants_are_evaluated(self) -> None:
        text = "A = 4 * 1024\nB: int = A\nC, D = range(2)\nE, F = 2, 3\nG = ('x', 'y')\nclass S:\n    T = -1\nH = f()\n"
        expected = {"A": 4096, "B": 4096, "C": 0, "D": 1, "E": 2, "F": 3, "G": ("x", "y"), "S.T": -1}
        assert python_constants(text) == expected

    def test_swapped_words_are_seen(self) -> None:
        swapped = CHANNEL_H.replace("WX_INBOX_PTR,\n    WX_INBOX_LEN,", "WX_INBOX_LEN,\n    WX_INBOX_PTR,")
        assert swapped != CHANNEL_H
        assert c_constants(swapped)["WX_INBOX_PTR"] != named(WORDS, "word")["inbox_ptr"]

    @pytest.mark.parametrize(
        ("text", "number"),
        [("16 KiB", 16384), ("1", 1), ("86,400 seconds", 86400), ("`x` and 1 MiB", 1048576), ("0x10", 16)],
    )
    def test_values_are_read(self, text: str, number: int) -> None:
        assert value_of(text) == number

    @pytest.mark.parametrize("text", ["", "| a | b |\n| --- | --- |\n", "| a | b |\n| --- | --- |\n| 1 |\n"])
    def test_a_table_that_is_not_there_empty_or_ragged_is_an_error(self, text: str) -> None:
        with pytest.raises(LookupError):
            table(text, "a", "b")
