"""Compares OpenSSL's big numbers and curves, as compiled for the guest, with Python's integers; exits 1 if they differ.

Run by build.py as a program: `arithmetic.py MODULE.wasm`. The compiler is known to get 128-bit arithmetic wrong with
the processor feature that the list WIDE is compiled with, so each build proves its own.
"""

import random
import re
import sys
from dataclasses import dataclass
from math import gcd

import wasmtime

ROUNDS = 1500
ROUNDS_MODULAR = 200
SCALARS = 24
BITS = (64, 128, 192, 256, 384, 512, 521, 1024, 2048, 4096)
# Words at which carries go wrong first.
WORDS = ("0" * 16, "F" * 16, "8" + "0" * 15, "7" + "F" * 15, "0" * 15 + "1")

Point = tuple[int, int]


@dataclass(frozen=True)
class Curve:
    """y² = x³ + ax + b over the integers modulo p, with a point of the prime order n."""

    nid: int
    p: int
    a: int
    n: int
    g: Point

    def add(self, left: Point | None, right: Point | None) -> Point | None:
        """The sum; None is the point at infinity."""
        if left is None or right is None:
            return left or right
        p = self.p
        if left[0] == right[0]:
            if (left[1] + right[1]) % p == 0:
                return None
            slope = (3 * left[0] * left[0] + self.a) * pow(2 * left[1], -1, p)
        else:
            slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, p)
        x = (slope * slope - left[0] - right[0]) % p
        return x, (slope * (left[0] - x) - left[1]) % p

    def multiply(self, scalar: int, base: Point | None) -> Point | None:
        total = None
        while scalar:
            if scalar & 1:
                total = self.add(total, base)
            base = self.add(base, base)
            scalar >>= 1
        return total


# SEC 2, version 2.0: order of the group, then x and y of its generator. The numbers are those of OpenSSL's obj_mac.h.
_POINTS = {
    "P-224": """
        FFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D
        B70E0CBD6BB4BF7F321390B94A03C1D356C21122343280D6115C1D21
        BD376388B5F723FB4C22DFE6CD4375A05A07476444D5819985007E34""",
    "P-256": """
        FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
        4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5""",
    "P-384": """
        FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
        AA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7
        3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F""",
    "P-521": """
        1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA518
        _68783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409
        C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B
        _5E77EFE75928FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66
        11839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97E
        _E72995EF42640C550B9013FAD0761353C7086A272C24088BE94769FD16650""",
    "secp256k1": """
        FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
        79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798
        483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8""",
}
_FIELDS = {
    "P-224": (713, 2**224 - 2**96 + 1, -3),
    "P-256": (415, 2**256 - 2**224 + 2**192 + 2**96 - 1, -3),
    "P-384": (715, 2**384 - 2**128 - 2**96 + 2**32 - 1, -3),
    "P-521": (716, 2**521 - 1, -3),
    "secp256k1": (714, 2**256 - 2**32 - 977, 0),
}


def curves() -> dict[str, Curve]:
    """The curves by name."""
    found = {}
    for name, text in _POINTS.items():
        n, x, y = (int(word, 16) for word in re.sub(r"\s+_", "", text).split())
        nid, p, a = _FIELDS[name]
        found[name] = Curve(nid, p, a, n, (x, y))
    return found


class Guest:
    """The compiled check; `number` and `point` give OpenSSL's answer, None if it reports a failure."""

    def __init__(self, module: str) -> None:
        config = wasmtime.Config()
        config.wasm_exceptions = True
        engine = wasmtime.Engine(config)
        self._store = wasmtime.Store(engine)
        self._store.set_wasi(wasmtime.WasiConfig())
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        self._exports = linker.instantiate(self._store, wasmtime.Module.from_file(engine, module)).exports(self._store)
        self._call("_initialize")
        self._operands = [self._call("operand", number) for number in range(3)]
        self._answer = self._call("answer")

    def number(self, operation: int, *operands: int) -> int | None:
        text = self._ask("number", operation, operands)
        return None if text is None else int(text, 16)

    def point(self, curve: Curve, operation: int, *scalars: int) -> Point | None:
        text = self._ask("point", curve.nid, scalars, operation)
        if text is None:
            return None
        x, y = text.split(",")
        return int(x, 16), int(y, 16)

    def _ask(self, function: str, first: int, operands: tuple[int, ...], *more: int) -> str | None:
        for address, operand in zip(self._operands, operands, strict=False):
            self._memory.write(self._store, b"%X\0" % operand, address)
        if self._call(function, first, *more) != 1:
            return None
        raw = self._memory.read(self._store, self._answer, self._answer + 4 * 8192)
        return bytes(raw).split(b"\0")[0].decode()

    @property
    def _memory(self) -> wasmtime.Memory:
        memory = self._exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        return memory

    def _call(self, name: str, *arguments: int) -> int:
        function = self._exports[name]
        assert isinstance(function, wasmtime.Func)
        answer: int = function(self._store, *arguments)
        return answer


def operand(source: random.Random, bits: int) -> int:
    """An odd number of at most `bits` bits, often one with long runs of equal bits."""
    match source.randrange(5):
        case 0:
            return source.getrandbits(bits) | 1
        case 1:
            return (1 << bits) - 1
        case 2:
            return (1 << bits) - source.getrandbits(10) * 2 - 1
        case 3:
            words = (source.choice((*WORDS, f"{source.getrandbits(64):016X}")) for _ in range(-(-bits // 64)))
            return int("".join(words), 16) & ((1 << bits) - 1) | 1
        case _:
            return source.getrandbits(source.randint(1, bits)) | 1


def check_numbers(guest: Guest, source: random.Random) -> list[str]:
    """Every operation of crypto/bn that the curves, RSA and DH stand on."""
    wrong = []

    def compare(name: str, operation: int, expected: int, *operands: int) -> None:
        if guest.number(operation, *operands) != expected:
            wrong.append(f"{name}({', '.join(map(hex, operands))})")

    for index in range(ROUNDS):
        bits = source.choice(BITS)
        a, b = operand(source, bits), operand(source, bits)
        compare("mul", 0, a * b, a, b)
        compare("sqr", 1, a * a, a)
        compare("add", 4, a + b, a, b)
        compare("sub", 5, a - b, a, b)
        compare("gcd", 6, gcd(a, b), a, b)
        large, word = operand(source, bits * 2), operand(source, 64)
        compare("mod", 2, large % b, large, b)
        compare("div", 3, large // b, large, b)
        compare("mod_word", 11, large % word, large, word)
        m = operand(source, bits)
        if m == 1:
            continue
        compare("mod_mul", 10, a * b % m, a, b, m)
        if gcd(a, m) == 1:
            compare("mod_inverse", 9, pow(a, -1, m), a, 0, m)
        if index < ROUNDS_MODULAR:
            short = min(bits, 1024)
            a, b, m = operand(source, short), operand(source, short), operand(source, short) + 2
            compare("mod_exp", 7, pow(a, b, m), a, b, m)
            compare("mod_exp_mont_consttime", 8, pow(a, b, m), a, b, m)
    return wrong


def check_curve(guest: Guest, name: str, curve: Curve, source: random.Random) -> list[str]:
    """Multiples of the generator, of other points, and their sum."""
    n, wrong = curve.n, []
    for index in range(SCALARS):
        k = operand(source, n.bit_length()) % n or 1
        j = operand(source, n.bit_length()) % n or 1
        if index < 8:
            k = (1, 2, 3, n - 1, n - 2, 255, 256, 1 << 200)[index]
        base = curve.multiply(k, curve.g)
        other = curve.multiply(j, base)
        expected = (base, other, curve.add(base, other))
        for operation, point in enumerate(expected):
            if point is not None and guest.point(curve, operation, k, j) != point:
                wrong.append(f"{name} {('kG', 'jkG', 'kG + jkG')[operation]}: k = {k:#x}, j = {j:#x}")
    return wrong


def main(module: str) -> int:
    """The exit status; differences go to standard error."""
    guest = Guest(module)
    source = random.Random(128)
    wrong = check_numbers(guest, source)
    for name, curve in curves().items():
        wrong += check_curve(guest, name, curve, source)
    for line in wrong[:20]:
        print(f"OpenSSL's arithmetic is not Python's: {line}", file=sys.stderr)
    print(f"{len(wrong)} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
