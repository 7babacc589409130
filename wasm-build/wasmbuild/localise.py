"""Makes every symbol of a relocatable wasm object local, except the ones it is asked to keep.

Extension modules are linked into one module without a dynamic loader, and they define the same names with different
meanings (numpy and pandas share a dozen functions, each with its own signature). So the objects of one extension are
first joined with `wasm-ld -r`, and then only its init function stays visible, under a name made from the whole dotted
module name.

Source: "WebAssembly Object File Linking", WebAssembly/tool-conventions, Linking.md (version 2 of the section).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["LocaliseError", "Symbol", "init_symbol", "join_module", "localise", "read_symbols"]

MAGIC = b"\0asm\1\0\0\0"
LINKING_VERSION = 2

SECTION_CUSTOM = 0
SUBSECTION_COMDAT = 7
SUBSECTION_SYMBOLS = 8

KIND_DATA = 1
KIND_SECTION = 3
KINDS_WITH_INDEX = {0: "function", 2: "global", 4: "tag", 5: "table"}
KINDS = {**KINDS_WITH_INDEX, KIND_DATA: "data", KIND_SECTION: "section"}

FLAG_WEAK = 0x01
FLAG_LOCAL = 0x02
FLAG_UNDEFINED = 0x10
FLAG_EXPORTED = 0x20
FLAG_EXPLICIT_NAME = 0x40


class LocaliseError(ValueError):
    """The bytes are no relocatable wasm object, or a symbol that was to be kept is missing."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One entry of the symbol table.

    Attributes:
        kind: function, data, global, section, tag or table.
        name: empty where the format stores none (sections; undefined functions take the name of their import).
        rest: the fields after the name for data (segment, offset, size), the index for the others.
    """

    kind: str
    flags: int
    name: str
    rest: tuple[int, ...]

    @property
    def is_defined(self) -> bool:
        return not self.flags & FLAG_UNDEFINED

    @property
    def is_local(self) -> bool:
        return bool(self.flags & FLAG_LOCAL)


def init_symbol(module: str) -> str:
    """The one visible symbol of an extension module, from its dotted name."""
    return "PyInit_" + module.replace(".", "__dot__")


def join_module(
    link: Callable[[Iterable[Path], Path], object], module: str, inputs: Iterable[Path], target: Path
) -> Path:
    """Join objects, and what they need of archives, into the one object of the extension module `module` (dotted name).

    `link(inputs, target)` runs `wasm-ld -r`.

    Raises:
        LocaliseError: the objects do not define the module's init function.
        Whatever `link` raises.
    """
    joined = target.with_name(target.name + ".joined")
    link(inputs, joined)
    last = module.rpartition(".")[2]
    try:
        target.write_bytes(localise(joined.read_bytes(), {f"PyInit_{last}": init_symbol(module)}))
    except LocaliseError as error:
        raise LocaliseError(f"{module}: {error}") from error
    joined.unlink()
    return target


def localise(module: bytes, keep: Mapping[str, str]) -> bytes:
    """The same object with every defined symbol local but those in `keep` (present name to new name).

    Undefined symbols stay as they are: they are what the object wants from others. COMDAT groups go, because the linker
    would still merge them by name across objects.

    Raises: LocaliseError.
    """
    out = bytearray(MAGIC)
    found: set[str] = set()
    tables = 0
    for number, start, end in _sections(module):
        body = module[start:end]
        if number == SECTION_CUSTOM:
            name, offset = _name(body, 0)
            if name == "linking":
                tables += 1
                body = body[:offset] + _edit_linking(body, offset, keep, found)
        out.append(number)
        out += _encode(len(body))
        out += body
    if tables != 1:
        raise LocaliseError(f"expected one linking section, found {tables}: not a relocatable object")
    missing = sorted(set(keep) - found)
    if missing:
        raise LocaliseError(f"does not define {', '.join(missing)}")
    return bytes(out)


def read_symbols(module: bytes) -> list[Symbol]:
    """The symbol table of a relocatable object, in its order.

    Raises: LocaliseError.
    """
    symbols: list[Symbol] = []
    for number, start, end in _sections(module):
        if number != SECTION_CUSTOM:
            continue
        body = module[start:end]
        name, offset = _name(body, 0)
        if name == "linking":
            for kind, payload in _subsections(body, offset):
                if kind == SUBSECTION_SYMBOLS:
                    symbols += _parse_symbols(payload)
    return symbols


def _edit_linking(body: bytes, offset: int, keep: Mapping[str, str], found: set[str]) -> bytes:
    version, _ = _decode(body, offset)
    out = bytearray(_encode(version))
    for kind, payload in _subsections(body, offset):
        if kind == SUBSECTION_COMDAT:
            continue
        content = payload
        if kind == SUBSECTION_SYMBOLS:
            symbols = [_edit_symbol(symbol, keep, found) for symbol in _parse_symbols(payload)]
            content = _encode(len(symbols)) + b"".join(map(_encode_symbol, symbols))
        out.append(kind)
        out += _encode(len(content))
        out += content
    return bytes(out)


def _edit_symbol(symbol: Symbol, keep: Mapping[str, str], found: set[str]) -> Symbol:
    if not symbol.is_defined or symbol.kind == "section":
        return symbol
    if not symbol.is_local and symbol.name in keep:
        found.add(symbol.name)
        return replace(symbol, name=keep[symbol.name], flags=symbol.flags & ~FLAG_WEAK)
    return replace(symbol, flags=(symbol.flags & ~(FLAG_WEAK | FLAG_EXPORTED)) | FLAG_LOCAL)


def _parse_symbols(payload: bytes) -> list[Symbol]:
    count, at = _decode(payload, 0)
    symbols = []
    for _ in range(count):
        number = _byte(payload, at)
        flags, at = _decode(payload, at + 1)
        if number not in KINDS:
            raise LocaliseError(f"unknown symbol kind {number}")
        name = ""
        rest: list[int] = []
        if number == KIND_DATA:
            name, at = _name(payload, at)
            fields = 0 if flags & FLAG_UNDEFINED else 3
        else:
            fields = 1
        for _ in range(fields):
            value, at = _decode(payload, at)
            rest.append(value)
        if number in KINDS_WITH_INDEX and (not flags & FLAG_UNDEFINED or flags & FLAG_EXPLICIT_NAME):
            name, at = _name(payload, at)
        symbols.append(Symbol(KINDS[number], flags, name, tuple(rest)))
    if at != len(payload):
        raise LocaliseError(f"{len(payload) - at} bytes follow the symbol table")
    return symbols


_NUMBERS = {name: number for number, name in KINDS.items()}


def _encode_symbol(symbol: Symbol) -> bytes:
    number = _NUMBERS[symbol.kind]
    text = symbol.name.encode("utf-8", "surrogateescape")
    name = _encode(len(text)) + text
    rest = b"".join(map(_encode, symbol.rest))
    head = bytes([number]) + _encode(symbol.flags)
    if number == KIND_DATA:
        return head + name + rest
    if number in KINDS_WITH_INDEX and (symbol.is_defined or symbol.flags & FLAG_EXPLICIT_NAME):
        return head + rest + name
    return head + rest


def _sections(module: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of the body of each section."""
    if module[: len(MAGIC)] != MAGIC:
        raise LocaliseError("not a wasm module of version 1")
    at = len(MAGIC)
    while at < len(module):
        number = module[at]
        size, start = _decode(module, at + 1)
        end = start + size
        if end > len(module):
            raise LocaliseError(f"section {number} at byte {at} is cut off")
        yield number, start, end
        at = end


def _subsections(body: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    version, at = _decode(body, offset)
    if version != LINKING_VERSION:
        raise LocaliseError(f"linking section of version {version}, expected {LINKING_VERSION}")
    while at < len(body):
        kind = body[at]
        size, start = _decode(body, at + 1)
        at = start + size
        if at > len(body):
            raise LocaliseError(f"subsection {kind} of the linking section is cut off")
        yield kind, body[start:at]


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise LocaliseError("the data ends inside a record")
    return data[at]


def _name(data: bytes, at: int) -> tuple[str, int]:
    size, start = _decode(data, at)
    end = start + size
    if end > len(data):
        raise LocaliseError("a name is cut off")
    return data[start:end].decode("utf-8", "surrogateescape"), end


def _decode(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number of at most 32 bits, and where it ends."""
    value = 0
    for shift in range(0, 35, 7):
        byte = _byte(data, at)
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 32:
                break
            return value, at
    raise LocaliseError("a number is longer than 32 bits")


def _encode(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
