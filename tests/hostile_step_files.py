"""Step files and files of test cases as nobody writes them, about so many lines or characters long; for tests."""

from __future__ import annotations

from collections.abc import Callable

Make = Callable[[int], "str | bytes"]
RIGHT = 'statement: |\n  return [{"a": 1}]\noutput_schema:\n  - {name: a, type: integer}\n'
_ROWS = "statement: return []\noutput_schema:\n"
_OBJECT = "statement: return []\noutput_schema:\n  type: object\n"
_TEXT = "output_schema: [{name: a, type: text}]\n"


def _lines(count: int, pattern: str) -> str:
    return "\n".join([pattern % number for number in range(count)]) + "\n"


STEPS: dict[str, Make] = {
    "unknown keys": lambda n: RIGHT + _lines(n, "k%d: 1"),
    "dup keys": lambda n: RIGHT + "limits:\n" + "  wall_seconds: 1\n" * n,
    "wrong columns": lambda n: _ROWS + _lines(n, "  - {name: a%d, type: foo}"),
    "same columns": lambda n: _ROWS + "  - {name: a, type: text}\n" * n,
    "good columns": lambda n: _ROWS + _lines(n, "  - {name: a%d, type: text}"),
    "not objects columns": lambda n: _ROWS + "  - 7\n" * n,
    "nested columns": lambda n: _ROWS + "  - {name: t, type: table, columns: [{name: a, type: x}]}\n" * n,
    "inputs same name": lambda n: RIGHT + "inputs:\n" + "  - {name: a}\n" * n,
    "inputs many": lambda n: RIGHT + "inputs:\n" + _lines(n, "  - {name: a%d}"),
    "inputs wrong": lambda n: RIGHT + "inputs:\n" + _lines(n, "  - {nam: a%d}"),
    "locals wrong": lambda n: RIGHT + "local_variables:\n" + _lines(n, "  v%d: {type: foo}"),
    "locals names": lambda n: RIGHT + "local_variables:\n" + _lines(n, "  ?%d: integer"),
    "locals update_from": lambda n: RIGHT + "local_variables:\n" + _lines(n, "  v%d: {type: integer, update_from: b}"),
    "locals ok": lambda n: RIGHT + "local_variables:\n" + _lines(n, "  v%d: integer"),
    "secrets wrong": lambda n: RIGHT + "secrets:\n" + _lines(n, "  s%d: {foo: 1}"),
    "secrets and locals": lambda n: (
        RIGHT + "local_variables:\n" + _lines(n, "  v%d: integer") + "secrets:\n" + _lines(n, "  v%d: {env: A}")
    ),
    "secrets hosts": lambda n: (
        RIGHT + "secrets:\n  s:\n    env: A\n    hosts:\n" + _lines(n, "      - h%d.example.com")
    ),
    "secrets bad hosts": lambda n: RIGHT + "secrets:\n" + _lines(n, "  s%d: {env: A, hosts: ['a b']}"),
    "grants": lambda n: RIGHT + "grants:\n  http:\n" + _lines(n, "    - h%d.example.com"),
    "grants wrong": lambda n: RIGHT + "grants:\n  http:\n" + _lines(n, "    - 'a b %d'"),
    "grants wrong maps": lambda n: RIGHT + "grants:\n  http:\n" + _lines(n, "    - {host: a, ports: [%d00000]}"),
    "grant ports": lambda n: (
        RIGHT + "grants:\n  http:\n    - host: a.example.com\n      ports:\n" + "        - 80\n" * n
    ),
    "grant bad ports": lambda n: (
        RIGHT + "grants:\n  http:\n    - host: a.example.com\n      ports:\n" + "        - 0\n" * n
    ),
    "limits unknown": lambda n: RIGHT + "limits:\n" + _lines(n, "  k%d: 1"),
    "schema enum": lambda n: _OBJECT + "  properties:\n    a: {enum: [" + ",".join(map(str, range(n))) + "]}\n",
    "schema properties": lambda n: _OBJECT + "  properties:\n" + _lines(n, "    p%d: {type: integer}"),
    "schema bad types": lambda n: _OBJECT + "  properties:\n" + _lines(n, "    p%d: {type: foo}"),
    "schema bad refs": lambda n: _OBJECT + "  properties:\n" + _lines(n, "    p%d: {$ref: '#/$defs/x'}"),
    "schema good refs": lambda n: (
        _OBJECT + "  $defs: {x: {type: integer}}\n  properties:\n" + _lines(n, "    p%d: {$ref: '#/$defs/x'}")
    ),
    "schema ids": lambda n: (
        _OBJECT + '  $id: "http://a.example/"\n  $defs:\n' + _lines(n, "    p%d: {$id: 'x', type: integer}")
    ),
    "schema anchors": lambda n: _OBJECT + "  $defs:\n" + _lines(n, "    p%d: {$anchor: x, type: integer}"),
    "schema subschemas": lambda n: (
        _OBJECT
        + "  $defs:\n"
        + _lines(
            n, "    p%d: {$schema: 'http://json-schema.org/draft-07/schema#', $id: 'http://a.example/z', type: integer}"
        )
    ),
    "schema bad patterns": lambda n: _OBJECT + "  properties:\n" + _lines(n, "    p%d: {pattern: '('}"),
    "schema anyOf wrong": lambda n: _OBJECT + "  anyOf:\n" + _lines(n, "    - {type: 7, minimum: x%d}"),
    "schema required": lambda n: _OBJECT + "  required:\n" + "    - a\n" * n,
    "list items flow": lambda n: RIGHT + "description: [" + ",".join(["1"] * n) + "]\n",
    "aliases": lambda n: RIGHT + "description: &a [x]\ninputs:\n" + "  - *a\n" * n,
    "alias chain": lambda n: RIGHT + "x0: &x0 1\n" + "".join(f"x{i}: &x{i} [*x{i - 1}]\n" for i in range(1, n + 1)),
    "laughs": lambda n: (
        RIGHT
        + "x0: &x0 [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"x{i}: &x{i} [" + ",".join([f"*x{i - 1}"] * 10) + "]\n" for i in range(1, 8))
        + "#" * n
    ),
    "anchors": lambda n: RIGHT + _lines(n, "k%d: &a 1"),
    "cycle": lambda n: RIGHT + "inputs: &a\n" + "  - *a\n" * n,
    "merge": lambda n: RIGHT + "limits: &l {wall_seconds: 1}\n" + _lines(n, "k%d: {<<: *l}"),
    "deep flow": lambda n: RIGHT + "description: " + "[" * n + "]" * n + "\n",
    "deep flow maps": lambda n: RIGHT + "description: " + "{a: " * n + "1" + "}" * n + "\n",
    "deep block": lambda n: (
        RIGHT + "description:\n" + "".join(" " * (i + 1) + "a:\n" for i in range(min(n, 3000))) + "#" * n
    ),
    "deep dashes": lambda n: RIGHT + "description:\n  " + "- " * n + "1\n",
    "open brackets": lambda n: RIGHT + "description: " + "[" * n,
    "open quote": lambda n: RIGHT + 'description: "' + "x\n" * n,
    "open single quote": lambda n: RIGHT + "description: '" + "x\n" * n,
    "long scalar": lambda n: RIGHT + "description: " + "x" * (n * 10) + "\n",
    "long plain multi": lambda n: RIGHT + "description: x\n" + "  xxxxx\n" * n,
    "folded": lambda n: RIGHT + "description: >\n" + "  xxxxx\n" * n,
    "literal statement": lambda n: "statement: |\n" + "  x = 1\n" * n + "" + _TEXT,
    "literal blank lines": lambda n: "statement: |\n" + "\n" * n + "  return []\n" + _TEXT,
    "many literals": lambda n: RIGHT + _lines(n, "k%d: |\n  x"),
    "blank lines then literals": lambda n: RIGHT + "".join(f"k{i}: |\n" for i in range(n)) + "\n" * n,
    "literals empty": lambda n: RIGHT + "inputs:\n" + "  - |\n" * n,
    "quoted statement": lambda n: 'statement: "' + "x\\n" * n + '"\n' + _TEXT,
    "long key": lambda n: RIGHT + '? "' + "k" * (n * 10) + '"\n: 1\n',
    "long keys": lambda n: RIGHT + "".join(f"? {'k' * 900}{i}\n: 1\n" for i in range(n // 100)),
    "complex keys": lambda n: RIGHT + "? [a]\n: 1\n" * n,
    "documents": lambda n: RIGHT + "---\na: 1\n" * n,
    "document markers": lambda n: "---\n" * n,
    "tabs": lambda n: RIGHT + "description:\t" + "\t" * n + "x\n",
    "tab indent": lambda n: RIGHT + "description:\n" + "\ta: 1\n" * n,
    "control": lambda n: RIGHT + "description: " + "a" * n + "\x01\n",
    "nul": lambda n: RIGHT + "description: " + "a" * n + "\x00\n",
    "bidi": lambda n: RIGHT + "description: " + "\u202e" * n + "\n",
    "bidi keys": lambda n: RIGHT + _lines(n, "\u202ek%d: 1"),
    "nel": lambda n: RIGHT + "description: a\u0085b\u2028c\n" + "#\u2028\n" * n,
    "cr": lambda n: RIGHT + "description: a\r" + "#x\r" * n,
    "comment": lambda n: RIGHT + "#" * n * 10 + "\n",
    "comments": lambda n: RIGHT + "# x\n" * n,
    "spaces": lambda n: RIGHT + " " * n * 10 + "\n",
    "colons": lambda n: RIGHT + "description: " + ":" * n + "\n",
    "colon space": lambda n: RIGHT + "a: " * n + "\n",
    "question marks": lambda n: RIGHT + "? " * n + "\n",
    "dashes": lambda n: "-" * n + "\n",
    "stars": lambda n: RIGHT + "description: " + "*" * n + "\n",
    "amps": lambda n: RIGHT + "description: " + "&" * n + "\n",
    "excl": lambda n: RIGHT + "description: " + "!" * n + " x\n",
    "tags": lambda n: RIGHT + "description: [" + ",".join(["!!int 1"] * n) + "]\n",
    "bad tags": lambda n: RIGHT + "description: [" + ",".join(["!!python/x 1"] * n) + "]\n",
    "binary": lambda n: RIGHT + "description: !!binary " + "QUJD" * n + "\n",
    "percent": lambda n: "%TAG ! tag:x,2000:\n" * n + "---\n" + RIGHT,
    "percents": lambda n: "%FOO a\n" * n + "---\n" + RIGHT,
    "giant int": lambda n: RIGHT + "concurrency: " + "9" * n + "\n",
    "giant ints": lambda n: RIGHT + "".join(f"k{i}: " + "9" * 2900 + "\n" for i in range(n // 500)),
    "giant hex": lambda n: RIGHT + "concurrency: 0x" + "f" * n + "\n",
    "octal": lambda n: RIGHT + "".join(f"k{i}: 0o17\n" for i in range(n)),
    "sexagesimal": lambda n: RIGHT + "limits: {wall_seconds: " + "1:" * n + "1}\n",
    "exp": lambda n: RIGHT + "limits: {wall_seconds: 1e" + "9" * n + "}\n",
    "exps": lambda n: RIGHT + "limits: {wall_seconds: [" + ",".join(["1e999999"] * n) + "]}\n",
    "date": lambda n: RIGHT + "local_variables: {d: {type: datetime, initial: 2001-01-" + "0" * n + "1}}\n",
    "datetimes": lambda n: RIGHT + "local_variables:\n" + _lines(n, "  d%d: {type: datetime, initial: 'not a date'}"),
    "name long": lambda n: RIGHT + "name: " + "x" * n + "\n",
    "size text": lambda n: RIGHT + "limits: {memory_bytes: '" + "9" * n + "'}\n",
    "size spaces": lambda n: RIGHT + "limits: {memory_bytes: '" + " " * n + "x'}\n",
    "size digits x": lambda n: RIGHT + "limits: {memory_bytes: '" + "1" * n + " x'}\n",
    "proxy": lambda n: RIGHT + "grants: {proxy: '" + "/" * n + "'}\n",
    "proxy2": lambda n: RIGHT + "grants: {proxy: '" + " " * n + "@'}\n",
    "escapes": lambda n: RIGHT + 'description: "' + "\\x41" * n + '"\n',
    "bad escapes": lambda n: RIGHT + 'description: "' + "a" * n + '\\q"\n',
    "bad unicode": lambda n: RIGHT + 'description: "\\U' + "F" * 8 + '"\n' + "#" * n,
    "half pair": lambda n: RIGHT + 'description: "\\ud800"\n' + "#" * n,
    "half pair statement": lambda n: 'statement: "\\ud800"\n' + _TEXT + "#" * n,
    "half pair key": lambda n: RIGHT + '"\\ud800": 1\n' + "#" * n,
    "half pair name": lambda n: RIGHT + 'name: "\\ud800"\n' + "#" * n,
    "half pair column": lambda n: 'statement: "x"\noutput_schema: [{name: "\\ud800", type: text}]\n' + "#" * n,
    "half pair local": lambda n: RIGHT + 'local_variables: {a: {type: text, initial: "\\ud800"}}\n' + "#" * n,
    "half pair schema": lambda n: (
        'statement: "x"\noutput_schema: {type: object, properties: {"\\ud800": {enum: ["\\udfff"]}}}\n' + "#" * n
    ),
    "nul file names": lambda n: 'statement_file: "a\\0b"\noutput_schema: "c\\0d"\n' + "#" * n,
    "long file name": lambda n: "statement_file: " + "a" * n + "\noutput_schema: " + "b/" * n + "\n",
    "half pair file": lambda n: 'statement_file: "\\ud800"\noutput_schema: "\\ud800"\n' + "#" * n,
    "nul secret file": lambda n: RIGHT + 'secrets: {s: {file: "a\\0b"}}\n' + "#" * n,
    "nul ca": lambda n: RIGHT + 'grants: {ca_file: "a\\0b", http: [{host: a.b, ca_file: "a\\0"}]}\n' + "#" * n,
    "utf8": lambda n: RIGHT.encode() + b"description: " + b"a" * n + b"\xff\n",
    "latin": lambda n: b"\xe9" * n,
    "utf16": lambda n: (RIGHT + "#" * n).encode("utf-16"),
    "utf32": lambda n: (RIGHT + "#" * n).encode("utf-32"),
    "boms": lambda n: "\ufeff" * n + RIGHT,
    "empty": lambda n: "",
    "just newlines": lambda n: "\n" * n,
    "binary junk": lambda n: bytes(range(256)) * (n // 256),
    "string doc": lambda n: "x" * n,
    "list doc": lambda n: "- 1\n" * n,
}
JSON_STEPS: dict[str, Make] = {
    "deep": lambda n: "[" * n + "]" * n,
    "deep obj": lambda n: '{"a":' * n + "1" + "}" * n,
    "unclosed": lambda n: '{"a":' * n,
    "quote": lambda n: '{"a": "' + "x" * n,
    "dups": lambda n: "{" + ",".join(['"a":1'] * n) + "}",
    "unknown": lambda n: "{" + ",".join(f'"k{i}":1' for i in range(n)) + "}",
    "spaces": lambda n: " " * n * 10,
    "big ints": lambda n: '{"concurrency":' + "9" * n + "}",
    "list": lambda n: "[" + ",".join(["1"] * n) + "]",
    "trailing": lambda n: "{}" + "x" * n,
    "escapes": lambda n: '{"statement":"' + "\\n" * n + '","output_schema":[{"name":"a","type":"text"}]}',
    "half": lambda n: '{"statement":"\\ud800","output_schema":[{"name":"a","type":"text"}]}' + " " * n,
    "nan": lambda n: '{"concurrency":NaN}' + " " * n,
    "floats": lambda n: '{"limits":{"wall_seconds":1e999}}' + " " * n,
    "schema columns": lambda n: (
        '{"statement":"x","output_schema":[' + ",".join(f'{{"name":"c{i}","type":"text"}}' for i in range(n)) + "]}"
    ),
}
CASES: dict[str, Make] = {
    "cases unknown": lambda n: "cases:\n" + "  - {foo: 1}\n" * n,
    "cases same": lambda n: "cases:\n" + "  - {name: a, expect: {status: 200}}\n" * n,
    "cases many": lambda n: "cases:\n" + _lines(n, "  - {name: a%d, expect: {status: 200}}"),
    "cases rows": lambda n: "cases:\n  - name: a\n    input:\n" + "      - {a: 1}\n" * n,
    "cases deep": lambda n: "cases:\n  - name: a\n    input: " + "[" * n + "]" * n + "\n",
    "cases file": lambda n: 'cases:\n  - {name: a, input: "x\\0y"}\n  - {name: b, input: ' + "z" * n + "}\n",
    "cases half": lambda n: 'cases:\n  - {name: a, input: [{a: "\\ud800"}]}\n' + "#" * n,
    "cases http": lambda n: "cases:\n  - name: a\n    http:\n" + "      - {request: {url: 'x'}, response: {}}\n" * n,
    "cases http bad": lambda n: "cases:\n  - name: a\n    http:\n" + "      - {request: 1, response: 2}\n" * n,
    "cases http b64": lambda n: (
        "cases:\n  - name: a\n    http:\n      - {request: {url: 'http://a/'}, response: {base64: '" + "x" * n + "'}}\n"
    ),
    "cases secrets": lambda n: "cases:\n  - name: a\n    secrets:\n" + _lines(n, "      s%d: x"),
    "cases locals": lambda n: "cases:\n  - name: a\n    local_variables:\n" + _lines(n, "      s%d: x"),
    "cases log": lambda n: "cases:\n  - name: a\n    expect:\n      log:\n" + "        - {foo: x}\n" * n,
    "cases big int": lambda n: "cases:\n  - name: a\n    input: [{a: " + "9" * 2900 + "}]\n" + "#" * n,
}
