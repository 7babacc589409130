# === lengths, counts and positions beyond 2**31
import io
import itertools
import math
import random

def outcome(function):
    try:
        value = function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return repr(value)

class Long:
    def __len__(self):
        return 5 * 10**9
    def __getitem__(self, index):
        return index

def seeded(function):
    random.seed(7)
    return function()

far = range(10**10)
text = "abcabc"
cases = {
    "len": lambda: (len(far), len(range(2**63 - 1)), len(range(0, 10**12, 7)), len(Long())),
    "len too long": lambda: len(range(2**63)),
    "index": lambda: (far[9_999_999_999], far[-1], far[2**33]),
    "index out": lambda: far[10**10],
    "slice": lambda: (far[5 * 10**9 :], far[:: 10**9], far[-(2**40) : 3]),
    "range.index": lambda: (far.index(7 * 10**9), far.count(7 * 10**9), 7 * 10**9 in far),
    "reversed": lambda: next(reversed(far)),
    "iterate": lambda: [n for n, _ in zip(range(2**40, 2**41), "ab")],
    "iterate step": lambda: list(range(0, 2**40, 2**38)),
    "bool": lambda: bool(far),
    "sample": lambda: seeded(lambda: random.sample(range(10**9, 10**10), 3)),
    "choice": lambda: seeded(lambda: random.choice(far)),
    "choices": lambda: seeded(lambda: random.choices(far, k=2)),
    "randrange": lambda: seeded(lambda: random.randrange(10**12)),
    "getrandbits": lambda: seeded(lambda: random.getrandbits(100)),
    "seed float": lambda: [random.seed(1.5), random.random()][1],
    "islice": lambda: list(itertools.islice("abc", 3_000_000_000)),
    "islice far": lambda: list(itertools.islice(iter("abc"), 2**33, 2**34)),
    "islice step": lambda: list(itertools.islice("abcdef", 0, None, 2**31)),
    "islice too far": lambda: list(itertools.islice("abc", 2**63)),
    "repeat": lambda: (itertools.repeat("x", 5 * 10**9), next(itertools.repeat("x", 5 * 10**9))),
    "repeat hint": lambda: itertools.repeat("x", 5 * 10**9).__length_hint__(),
    "count": lambda: (list(itertools.islice(itertools.count(2**31 - 1), 2)), itertools.count(2**40, 2**33)),
    "enumerate": lambda: list(enumerate("ab", 2**33)),
    "find": lambda: (text.find("c", 0, 3 * 10**9), text.find("c", -(2**40)), text.index("a", 1, 2**62)),
    "count in": lambda: text.count("a", 0, 2**40),
    "replace": lambda: text.replace("a", "x", 2**40),
    "split": lambda: "a b c".split(" ", 2**40),
    "startswith": lambda: text.startswith("abc", 3, 2**40),
    "text index": lambda: text[2**40],
    "text slice": lambda: (text[2**40 :], text[: 2**40], text[:: 2**40], text[-(2**40) :]),
    "list index": lambda: [1, 2, 3].index(3, 0, 2**40),
    "list insert": lambda: (lambda x: (x.insert(2**40, 9), x))([1, 2])[1],
    "list pop": lambda: [1].pop(2**40),
    "list del": lambda: (lambda x: x.__delitem__(2**40))([1]),
    "list times": lambda: [0] * 10**15,
    "text times": lambda: len("x" * 10**15),
    "bytes": lambda: bytes(10**15),
    "bytearray": lambda: bytearray(10**15),
    "center": lambda: "x".center(10**15),
    "ljust": lambda: b"x".ljust(10**15),
    "zero times": lambda: ("" * 2**40, [] * 2**40, () * 2**40),
    "slice.indices": lambda: slice(None, None, 2**40).indices(5 * 10**9),
    "slice.indices far": lambda: slice(-(2**33), 2**34).indices(10**10),
    "read": lambda: io.StringIO("abc").read(3 * 10**9),
    "read bytes": lambda: io.BytesIO(b"abc").read(3 * 10**9),
    "seek": lambda: (lambda f: (f.seek(2**33), f.tell(), f.read()))(io.BytesIO(b"abc")),
    "truncate": lambda: io.BytesIO(b"abc").truncate(2**33),
    "to_bytes": lambda: (5).to_bytes(9, "big"),
    "shift": lambda: 1 >> 2**40,
    "shift left": lambda: 0 << 2**40,
    "comb": lambda: (math.comb(2**40, 2), math.perm(2**33, 2)),
    "round": lambda: round(1.5, 2**40),
    "sum": lambda: sum(range(2**40, 2**40 + 3)),
    "min": lambda: min(range(2**40, 2**41, 2**39)),
    "hash": lambda: (hash(2**40), hash(-(2**61)), hash(1.5), hash((1, 2.5)), hash(frozenset([1, -7]))),
    "sets": lambda: (list({-1.5, 2.5, -9, 2**40, 7}), list({(1, 2), (3, 4), (5, 6)}), list({"a", "bb", "ccc"})),
    "memoryview": lambda: memoryview(bytes(16)).cast("l").tolist(),
    "unpack": lambda: ["x" for _ in zip(range(2**31, 2**31 + 2))],
}
return [{"case": name, "outcome": outcome(function)} for name, function in cases.items()]
