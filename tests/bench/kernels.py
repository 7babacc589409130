"""What the kernels do: sources that define `work()`, the same for guest and native."""

from __future__ import annotations

import json

ROWS = 100_000

PURE_PYTHON = {
    "fib": """
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def work():
    return fib(25)
""",
    "integer loop": """
def work():
    total = 0
    for number in range(400_000):
        total = (total + number * 7) % 1_000_003
    return total
""",
    "dicts": """
def work():
    counts = {}
    for number in range(150_000):
        key = f"k{number % 997}"
        counts[key] = counts.get(key, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
""",
    "classes": """
class Account:
    def __init__(self, owner, balance):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount):
        self.balance += amount
        return self

    @property
    def doubled(self):
        return self.balance * 2

def work():
    accounts = [Account(f"o{number}", number) for number in range(20_000)]
    return sum(account.deposit(5).doubled for _ in range(3) for account in accounts)
""",
    "json": """
import json

rows = [{"id": n, "name": f"name {n}", "price": n * 1.25, "tags": ["a", None], "ok": n % 2 == 0} for n in range(4000)]

def work():
    return len(json.loads(json.dumps(rows)))
""",
}

NUMPY = {
    "numpy sort of 1e6": """
import numpy as np

values = (np.arange(1_000_000) * 7_919 % 1_000_003).astype(float)

def work():
    return float(np.sort(values)[10])
""",
    "numpy exp and arithmetic on 1e6": """
import numpy as np

values = np.arange(1_000_000) / 1_000_000

def work():
    return float((np.exp(values) * 2 + values ** 2 - 1).sum())
""",
    "numpy matmul 300 x 300": """
import numpy as np

matrix = (np.arange(90_000) % 17).reshape(300, 300).astype(float)

def work():
    return float((matrix @ matrix)[3, 4])
""",
}

GROUPBY = """
import numpy as np
import pandas as pd

def work():
    count = 10_000
    frame = pd.DataFrame({"key": np.arange(count) % 50, "value": np.arange(count) * 0.5})
    grouped = frame.groupby("key")["value"].agg(["sum", "mean", "count"]).reset_index()
    return grouped.to_dict("records")
"""

TOTALS = """
def work(rows):
    return [{**row, "total": row["price"] * row["units"]} for row in rows]
"""


def input_rows(count: int) -> list[dict[str, object]]:
    """The rows that `TOTALS` works on."""
    return [
        {
            "id": n, "name": f"name {n}", "price": n * 0.25, "units": n % 9, "ok": n % 2 == 0, "day": "2026-01-05",
            "note": None if n % 3 else "x",
        }
        for n in range(count)
    ]  # fmt: skip


TOTALS_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "price": {"type": "number"},
        "units": {"type": "integer", "minimum": 0},
        "ok": {"type": "boolean"},
        "day": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "total": {"type": "number"},
    },
    "required": ["id", "name", "price", "units", "ok", "day", "note", "total"],
    "additionalProperties": False,
}


def native_totals() -> str:
    """Defines `all_of_it()`: JSON both ways, `work` and the validation, without a guest in between."""
    rows = json.dumps(input_rows(ROWS))
    return f"""{TOTALS}
import json
import jsonschema_rs

text = {rows!r}
validator = jsonschema_rs.Draft202012Validator({{"type": "array", "items": {TOTALS_SCHEMA!r}}})

def all_of_it():
    validator.validate(json.loads(json.dumps(work(json.loads(text)))))
"""
