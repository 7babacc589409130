"""hash() of 10,000 values of 20 kinds, the order of sets of them, and what chance makes of them as seeds."""

from collections.abc import Iterator

from tests.differential.sweep.tables import lists

VALUES = {
    "small integers": "[n - 250 for n in range(500)]",
    "integers near powers of two": "[s * 2**b + o for b in range(25, 67) for s in (-1, 1) for o in range(-3, 4)][:500]",
    "large integers": "[7**n * (-1) ** n for n in range(500)]",
    "pairs in one integer": "[a << 32 | b for a in range(25) for b in range(20)]",
    "bools and None's neighbours": "[n % 2 == 0 for n in range(500)]",
    "floats": "[(n - 250) / 7 for n in range(500)]",
    "large and small floats": "[1.5 * 10.0 ** (n - 250) for n in range(500)]",
    "whole floats": "[float(n * 2**20) for n in range(500)]",
    "complex numbers": "[complex(n / 3, -n) for n in range(500)]",
    "fractions": "[fractions.Fraction(n, 7) for n in range(500)]",
    "decimals": "[decimal.Decimal(n) / 8 for n in range(500)]",
    "texts": "['text %d' % n for n in range(500)]",
    "texts of every width": "['é' * (n % 7) + chr(0x20AC + n) + chr(0x1F600 + n % 50) for n in range(500)]",
    "bytes": "[bytes([n % 256]) * (n % 19) for n in range(500)]",
    "tuples": "[(n, str(n), n / 2) for n in range(500)]",
    "nested tuples": "[((n, -n), (n % 5, ('a', n))) for n in range(500)]",
    "frozen sets": "[frozenset(range(n % 40, n)) for n in range(500)]",
    "dates and times": "[datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=n * 7) for n in range(500)]",
    "ranges": "[range(n, n * 3, 2) for n in range(500)]",
    "numbers of numpy": "[(np.int64(n << 33), np.float64(n / 3), np.datetime64(n, 'D'))[n % 3] for n in range(500)]",
}
"""20 kinds of 500 values."""
STEP = 50
OTHERS = lists.section("hashes", "OTHERS")


def expressions() -> Iterator[tuple[str, str]]:
    """The tables of this file."""
    for values in VALUES.values():
        for start in range(0, 500, STEP):
            part = f"{values}[{start}:{start + STEP}]"
            yield "hashes", f"[hash(v) for v in {part}]"
            yield "sets", f"list(set({part}))"
        yield "sets", f"set({values})"
        yield "sets", f"frozenset({values}[::3]) & frozenset({values}[::2])"
        yield "sets", f"set({values}[:9]) | set({values}[5:20])"
        yield "sets", f"list(dict.fromkeys({values}[::-1]))[:20]"
        yield (
            "seeds",
            f"[random.Random(v).random() for v in {values}[:60:6] if isinstance(v, (int, float, str, bytes))]",
        )
    for text in OTHERS:
        yield "hashes", text
