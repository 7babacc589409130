"""Reads and rewrites WebAssembly binaries, as far as a snapshot needs: imports, globals, exports, memory and data.

Source: WebAssembly Core Specification 2.0, chapter 5 (binary format).
"""

from dataclasses import dataclass
from typing import Final

from wasmbuild.errors import BuildError

PAGE: Final = 65_536

CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT, TAG = range(14)
# The order in which a module's sections must stand (custom ones may stand anywhere).
_ORDER: Final = (
    TYPE, IMPORT, FUNCTION, TABLE, MEMORY, TAG, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA,
)  # fmt: skip

I32, I64, F32, F64, V128 = 0x7F, 0x7E, 0x7D, 0x7C, 0x7B
KIND_FUNCTION, KIND_TABLE, KIND_MEMORY, KIND_GLOBAL, KIND_TAG = range(5)


class WasmFormatError(BuildError):
    """A module is not what this reader understands."""


def leb(value: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed_leb(value: int) -> bytes:
    """Signed LEB128."""
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


class Reader:
    """A cursor over binary data."""

    def __init__(self, data: bytes | memoryview, position: int = 0) -> None:
        self.data = memoryview(data)
        self.position = position

    @property
    def at_end(self) -> bool:
        return self.position >= len(self.data)

    def byte(self) -> int:
        if self.at_end:
            raise WasmFormatError("the module ends in the middle of something")
        self.position += 1
        return self.data[self.position - 1]

    def take(self, count: int) -> memoryview:
        if self.position + count > len(self.data):
            raise WasmFormatError("the module ends in the middle of something")
        self.position += count
        return self.data[self.position - count : self.position]

    def leb(self) -> int:
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result

    def signed_leb(self) -> int:
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result - (1 << shift) if byte & 0x40 else result

    def name(self) -> str:
        return bytes(self.take(self.leb())).decode("utf-8")


@dataclass(frozen=True, slots=True)
class Import:
    """`kind` is one of the KIND constants."""

    module: str
    name: str
    kind: int


@dataclass(frozen=True, slots=True)
class Export:
    name: str
    kind: int
    index: int


@dataclass(frozen=True, slots=True)
class Global:
    """A defined global; `index` counts the imported ones too; `initial` is its constant expression without the end."""

    index: int
    value_type: int
    is_mutable: bool
    initial: bytes


class Module:
    """A module as a list of sections, in the order of the file."""

    def __init__(self, binary: bytes) -> None:
        if binary[:8] != b"\0asm\1\0\0\0":
            raise WasmFormatError("not a WebAssembly module")
        self.sections: list[tuple[int, bytes | memoryview]] = []
        reader = Reader(binary, 8)
        while not reader.at_end:
            number = reader.byte()
            self.sections.append((number, reader.take(reader.leb())))

    def section(self, number: int) -> bytes | memoryview | None:
        """The content of a non-custom section."""
        return next((content for found, content in self.sections if found == number), None)

    def replace(self, number: int, content: bytes | None) -> None:
        """Put, replace or (None) remove a non-custom section."""
        kept = [(found, old) for found, old in self.sections if found != number]
        if content is not None:
            later = set(_ORDER[_ORDER.index(number) + 1 :])
            place = next((i for i, (found, _) in enumerate(kept) if found in later), len(kept))
            kept.insert(place, (number, content))
        self.sections = kept

    def drop_custom(self) -> None:
        """Remove custom sections (names, producers, features)."""
        self.sections = [(number, content) for number, content in self.sections if number != CUSTOM]

    def binary(self) -> bytes:
        parts: list[bytes | memoryview] = [b"\0asm\1\0\0\0"]
        for number, content in self.sections:
            parts += [bytes([number]), leb(len(content)), content]
        return b"".join(parts)

    def imports(self) -> list[Import]:
        found = []
        for reader in self._items(IMPORT):
            module, name, kind = reader.name(), reader.name(), reader.byte()
            if kind == KIND_FUNCTION:
                reader.leb()
            elif kind == KIND_TABLE:
                reader.byte()
                _limits(reader)
            elif kind == KIND_MEMORY:
                _limits(reader)
            elif kind in (KIND_GLOBAL, KIND_TAG):
                reader.byte()
                reader.leb()
            else:
                raise WasmFormatError(f"unknown kind of import {kind}")
            found.append(Import(module, name, kind))
        return found

    def exports(self) -> list[Export]:
        return [Export(reader.name(), reader.byte(), reader.leb()) for reader in self._items(EXPORT)]

    def set_exports(self, exports: list[Export]) -> None:
        items = [leb(len(e.name.encode())) + e.name.encode() + bytes([e.kind]) + leb(e.index) for e in exports]
        self.replace(EXPORT, leb(len(items)) + b"".join(items))

    def globals(self) -> list[Global]:
        first = sum(1 for item in self.imports() if item.kind == KIND_GLOBAL)
        found = []
        for index, reader in enumerate(self._items(GLOBAL), first):
            value_type, mutable = reader.byte(), reader.byte()
            start = reader.position
            _skip_constant(reader)
            found.append(Global(index, value_type, mutable == 1, bytes(reader.data[start : reader.position - 1])))
        return found

    def set_globals(self, items: list[Global]) -> None:
        parts = [bytes([g.value_type, g.is_mutable]) + g.initial + b"\x0b" for g in items]
        self.replace(GLOBAL, leb(len(parts)) + b"".join(parts))

    def memory_limits(self) -> tuple[int, int | None]:
        """Minimum and maximum pages of the one defined memory."""
        limits = [_limits(reader) for reader in self._items(MEMORY)]
        if len(limits) != 1:
            raise WasmFormatError("the module does not define exactly one memory")
        return limits[0]

    def set_memory_limits(self, minimum: int, maximum: int | None) -> None:
        head = b"\1\0" if maximum is None else b"\1\1"
        self.replace(MEMORY, head + leb(minimum) + (b"" if maximum is None else leb(maximum)))

    def has_passive_data(self) -> bool:
        """Whether a data segment is copied by instructions instead of at instantiation."""
        passive = False
        for reader in self._items(DATA):
            mode = reader.leb()
            passive = passive or mode == 1
            if mode == 2:
                reader.leb()
            if mode != 1:
                _skip_constant(reader)
            reader.take(reader.leb())
        return passive

    def _items(self, number: int) -> "list[Reader] | _Items":
        content = self.section(number)
        return [] if content is None else _Items(content)


class _Items:
    """Iterates a vector: yields the same reader once for each item, which the caller must consume whole."""

    def __init__(self, content: bytes | memoryview) -> None:
        self._reader = Reader(content)
        self._left = self._reader.leb()

    def __iter__(self) -> "_Items":
        return self

    def __next__(self) -> Reader:
        if self._left == 0:
            if not self._reader.at_end:
                raise WasmFormatError("a section is longer than its items")
            raise StopIteration
        self._left -= 1
        return self._reader


def _limits(reader: Reader) -> tuple[int, int | None]:
    flags = reader.byte()
    if flags > 1:
        raise WasmFormatError("shared or 64-bit memories and tables are not understood")
    return reader.leb(), reader.leb() if flags else None


def _skip_constant(reader: Reader) -> None:
    """Step over a constant expression and its end."""
    while True:
        opcode = reader.byte()
        if opcode == 0x0B:
            return
        if opcode in (0x41, 0x42):
            reader.signed_leb()
        elif opcode in (0x23, 0xD2):
            reader.leb()
        elif opcode == 0x43:
            reader.take(4)
        elif opcode == 0x44:
            reader.take(8)
        elif opcode == 0xD0:
            reader.byte()
        elif opcode == 0xFD and reader.leb() == 12:
            reader.take(16)
        else:
            raise WasmFormatError(f"constant expression with opcode {opcode:#x}")
