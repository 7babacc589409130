"""Steps with one bug each, of the kinds that people make, and the same steps without it.

`Planted.kind` is what a fuzzer must say of the wrong one; of the right one it must say nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from wasmexec.step import Step


class Planted(NamedTuple):
    """A step: its kind of finding, the rest of its file, and how its statement is wrong and right."""

    name: str
    kind: str
    input: str
    output: str
    wrong: str
    right: str
    more: str = "processing: bulk"
    property: str | None = None

    def write(self, folder: Path, *, is_wrong: bool) -> Step:
        """The step, read from a file in the folder."""
        statement = self.wrong if is_wrong else self.right
        body = "\n".join(f"  {line}" for line in statement.strip("\n").splitlines())
        text = (
            f"name: {self.name}\n{self.more}\ninputs:\n  - name: rows\n    schema: {self.input}\n"
            f"output_schema: {self.output}\nstatement: |\n{body}\n"
        )
        path = folder / f"{self.name}-{'wrong' if is_wrong else 'right'}.step.yaml"
        path.write_text(text, "utf-8")
        return Step.load(path)


def columns(**types: str) -> str:
    """A column list; a type with ? may be null."""
    return (
        "["
        + ", ".join(
            f"{{name: {name}, type: {kind.rstrip('?')}{', allow_null: true' if kind.endswith('?') else ''}}}"
            for name, kind in types.items()
        )
        + "]"
    )


ROW = "processing: row_by_row"

PLANTED = [
    Planted(
        "missing", "raised", columns(name="text?"), columns(name="text"),
        'return [{"name": INPUT_DATA[0]["name"].strip()}]',
        'return [{"name": (INPUT_DATA[0].get("name") or "").strip()}]', ROW,
    ),
    Planted(
        "empty_list", "raised", columns(price="double"), columns(highest="double"),
        'return [{"highest": max(row["price"] for row in INPUT_DATA)}]',
        'return [{"highest": max(row["price"] for row in INPUT_DATA)}] if INPUT_DATA else []',
    ),
    Planted(
        "duplicate_key", "raised", columns(id="integer", city="text"), columns(id="integer", city="text"),
        "import pandas as pd\n"
        'cities = pd.DataFrame(INPUT_DATA, columns=["id", "city"]).astype({"id": object}).set_index("id")["city"]\n'
        'return [{"id": row["id"], "city": cities.at[row["id"]].strip()} for row in INPUT_DATA]',
        'cities = {row["id"]: row["city"] for row in INPUT_DATA}\n'
        'return [{"id": row["id"], "city": cities[row["id"]].strip()} for row in INPUT_DATA]',
    ),
    Planted(
        "time_zone", "raised", columns(begin="datetime", end="datetime"), columns(seconds="double"),
        "from datetime import datetime\n"
        "import pandas as pd\n"
        "row = INPUT_DATA[0]\n"
        'begin, end = pd.Timestamp(row["begin"]), pd.Timestamp(row["end"])\n'
        'return [{"seconds": (end - begin).total_seconds()}]',
        "import pandas as pd\n"
        "row = INPUT_DATA[0]\n"
        'begin, end = (pd.to_datetime(row[key], utc=True, errors="coerce") for key in ("begin", "end"))\n'
        "if pd.isna(begin) or pd.isna(end):\n"
        "    return []\n"
        'return [{"seconds": end.timestamp() - begin.timestamp()}]', ROW,
    ),
    Planted(
        "beyond_2_53", "property", columns(id="integer"), columns(id="integer"),
        'return [{"id": int(float(row["id"]))} for row in INPUT_DATA]',
        'return [{"id": int(row["id"])} for row in INPUT_DATA]',
        property='assert [row["id"] for row in INPUT_DATA] == [row["id"] for row in INPUT_DATA2]\nreturn []',
    ),
    Planted(
        "int64", "raised", columns(id="integer"), columns(next="integer"),
        "import numpy as np\n"
        'return [{"next": int(np.int64(row["id"])) + 1} for row in INPUT_DATA]',
        'return [{"next": row["id"] + 1} for row in INPUT_DATA]',
    ),
    Planted(
        "unicode", "raised", columns(name="text"), columns(name="text"),
        'return [{"name": INPUT_DATA[0]["name"].encode("latin-1").decode("latin-1")}]',
        'return [{"name": INPUT_DATA[0]["name"].encode("latin-1", "replace").decode("latin-1")}]', ROW,
    ),
    Planted(
        "digits", "raised", columns(code="text"), columns(number="integer"),
        'code = INPUT_DATA[0]["code"]\n'
        "if code.isdigit():\n"
        '    return [{"number": int(code)}]\n'
        "return []",
        'code = INPUT_DATA[0]["code"]\n'
        "if code.isdecimal() and len(code) < 100:\n"
        '    return [{"number": int(code)}]\n'
        "return []", ROW,
    ),
    Planted(
        "division", "raised", columns(part="double", whole="double"), columns(share="double"),
        'return [{"share": row["part"] / row["whole"]} for row in INPUT_DATA]',
        'return [{"share": row["part"] / row["whole"]} for row in INPUT_DATA '
        'if abs(row["whole"]) >= 0.01 and abs(row["part"]) < 1e200]',
    ),
    Planted(
        "slow_regex", "slow", columns(text="text"), columns(ok="boolean"),
        "import pandas as pd\n"
        'texts = pd.Series([row["text"] for row in INPUT_DATA], dtype=str)\n'
        'return [{"ok": bool(found)} for found in texts.str.fullmatch("(a+)+")]',
        "import pandas as pd\n"
        'texts = pd.Series([row["text"] for row in INPUT_DATA], dtype=str)\n'
        'return [{"ok": bool(found)} for found in texts.str.fullmatch("a+")]', ROW,
    ),
    Planted(
        "order", "property", columns(at="integer", value="text"), columns(value="text"),
        'return [{"value": INPUT_DATA[-1]["value"]}] if INPUT_DATA else []',
        'return [{"value": max(INPUT_DATA, key=lambda row: row["at"])["value"]}] if INPUT_DATA else []',
        property=(
            "if not INPUT_DATA:\n    return []\n"
            'newest = max(row["at"] for row in INPUT_DATA)\n'
            'assert INPUT_DATA2[0]["value"] in [row["value"] for row in INPUT_DATA if row["at"] == newest]\nreturn []'
        ),
    ),
    Planted(
        "resume", "resume", columns(id="integer", value="text"), columns(id="integer", value="text"),
        "last = -10**40 if DATA_CHECKPOINT is None else DATA_CHECKPOINT\n"
        'return sorted((row for row in INPUT_DATA if row["id"] >= last), key=lambda row: row["id"])',
        "last = -10**40 if DATA_CHECKPOINT is None else DATA_CHECKPOINT\n"
        'return sorted((row for row in INPUT_DATA if row["id"] > last), key=lambda row: row["id"])',
        "processing: bulk\ncheckpoint_column: id",
    ),
    Planted(
        "resume_zero", "resume", columns(id="integer"), columns(id="integer"),
        'return [row for row in INPUT_DATA if not DATA_CHECKPOINT or row["id"] > DATA_CHECKPOINT]',
        'return [row for row in INPUT_DATA if DATA_CHECKPOINT is None or row["id"] > DATA_CHECKPOINT]',
        "processing: bulk\ncheckpoint_column: id",
    ),
    Planted(
        "infinite", "refused", columns(price="double"), columns(price="double"),
        'return [{"price": INPUT_DATA[0]["price"] * 1.21}]',
        'price = INPUT_DATA[0]["price"] * 1.21\n'
        'return [{"price": price}] if abs(price) < 1e308 else []', ROW,
    ),
    Planted(
        "null_in_output", "refused", columns(kind="text"), columns(rank="integer"),
        'return [{"rank": {"gold": 1, "silver": 2, "bronze": 3}.get(INPUT_DATA[0]["kind"])}]',
        'return [{"rank": {"gold": 1, "silver": 2, "bronze": 3}.get(INPUT_DATA[0]["kind"], 9)}]', ROW,
    ),
    Planted(
        "split", "raised", columns(name="text"), columns(first="text", last="text"),
        'first, last = INPUT_DATA[0]["name"].split(" ")\n'
        'return [{"first": first, "last": last}]',
        'first, _, last = INPUT_DATA[0]["name"].partition(" ")\n'
        'return [{"first": first, "last": last}]', ROW,
    ),
    Planted(
        "random", "nondeterministic", columns(id="integer"), columns(key="text"),
        "import random\n"
        'return [{"key": f"{row[\'id\']}-{random.getrandbits(64):x}"} for row in INPUT_DATA]',
        "import random\n"
        'return [{"key": f"{row[\'id\']}-{random.Random(row[\'id\']).getrandbits(64):x}"} for row in INPUT_DATA]',
    ),
    Planted(
        "secret", "secret", columns(id="integer"), columns(url="text"),
        'return [{"url": f"https://api.example.com/{INPUT_DATA[0][\'id\']}?key={LocalVariable.ApiKey}"}]',
        'return [{"url": f"https://api.example.com/{INPUT_DATA[0][\'id\']}"}]',
        ROW + "\nsecrets: {ApiKey: {env: FUZZ_STEPS_KEY}}",
    ),
    Planted(
        "grant", "grant", columns(id="integer", region="text"), columns(status="integer"),
        "import httpx\n"
        'host = "eu.example.com" if INPUT_DATA[0]["region"] == "eu" else "api.example.com"\n'
        'if INPUT_DATA[0]["region"] != "eu":\n'
        '    return [{"status": 0}]\n'
        "async with httpx.AsyncClient() as client:\n"
        '    return [{"status": (await client.get(f"https://{host}/")).status_code}]',
        'return [{"status": 0 if INPUT_DATA[0]["region"] == "eu" else 1}]',
        ROW + "\ngrants: {http: [api.example.com]}",
    ),
    Planted(
        "three_conditions", "raised", columns(kind="text", amount="integer", note="text"), columns(total="integer"),
        "row = INPUT_DATA[0]\n"
        'total = row["amount"]\n'
        'if row["kind"] == "refund":\n'
        "    total = -total\n"
        "    if total < -5000:\n"
        '        if row["note"].startswith("VIP"):\n'
        '            total = int(row["note"][3:])\n'
        'return [{"total": total}]',
        "row = INPUT_DATA[0]\n"
        'total = row["amount"]\n'
        'if row["kind"] == "refund":\n'
        "    total = -total\n"
        'return [{"total": total}]', ROW,
    ),
]  # fmt: skip


def nested(name: str, input: str, conditions: tuple[str, str, str], bug: str) -> Planted:
    """A step whose bug lies under three conditions."""
    first, second, third = conditions
    right = f'row = INPUT_DATA[0]\nif {first}:\n    return [{{"n": 1}}]\nreturn [{{"n": 0}}]'
    wrong = (
        f"row = INPUT_DATA[0]\nif {first}:\n    if {second}:\n        if {third}:\n            {bug}\n"
        '        return [{"n": 2}]\n    return [{"n": 1}]\nreturn [{"n": 0}]'
    )
    return Planted(name, "raised", input, columns(n="integer"), wrong, right, ROW)


NESTED = [
    next(item for item in PLANTED if item.name == "three_conditions"),
    nested(
        "closed_order",
        columns(status="text", reason="text", priority="integer", closed="datetime?"),
        ('row["status"] == "closed"', 'row["priority"] > 900', 'row["reason"] == "fraud"'),
        'row["closed"].split("T", 3)[2]',
    ),
    nested(
        "country_code",
        columns(country="text", code="text", weight="double"),
        ('row["country"] == "CH"', 'row["code"].startswith("ZH-")', 'row["weight"] >= 31.5'),
        'int(row["code"][3:])',
    ),
    nested(
        "leap_day",
        columns(day="datetime", plan="text", months="integer"),
        ('row["plan"] == "yearly"', 'row["months"] == 48', 'row["day"][5:10] == "02-29"'),
        'raise OverflowError("no such day")',
    ),
    nested(
        "discount",
        columns(customer="text", total="double", coupon="text?", count="integer"),
        ('row["customer"].startswith("gold")', 'row["total"] > 10_000', 'row["coupon"] == "SUMMER"'),
        '1 / (row["count"] - 100)',
    ),
    nested(
        "sensor",
        columns(unit="text", value="double", site="integer", quality="text"),
        ('row["site"] == 4711', 'row["unit"] == "kelvin"', 'row["value"] < 0'),
        'row["quality"][40]',
    ),
]
"""Steps with three nested conditions."""
