"""Stands in for CPython's `_ctypes`, which needs libffi: types have sizes, numbers can be held, nothing can be called.

`ctypes`, numpy and pandas import it and build tables of types, and numpy wraps addresses and shapes (`array.ctypes`);
that works. Numbers have the sizes of 64-bit Linux, as numpy's have: `c_long` has 8 bytes. Arrays of numbers
can be read and written; structures and unions can be described and made empty, so that a description can be tried out.
Their fields, pointers, other memory, loading a library and calling a function raise NotImplementedError.
"""

from __future__ import annotations

import operator
import struct
from typing import Any, NoReturn

__version__ = "1.1.0"

RTLD_LOCAL = 0
RTLD_GLOBAL = 1
FUNCFLAG_CDECL = 1
FUNCFLAG_PYTHONAPI = 4
FUNCFLAG_USE_ERRNO = 8
FUNCFLAG_USE_LASTERROR = 16
CTYPES_MAX_ARGCOUNT = 1024

_memmove_addr = _memset_addr = _string_at_addr = _wstring_at_addr = _cast_addr = 0

_POINTER_BYTES = struct.calcsize("P")
_SIZE_CODES = {"O": "P", "z": "P", "Z": "P", "u": "i", "v": "h", "X": "P"}
_LONG_DOUBLE_BYTES = 16


class ArgumentError(Exception):
    """Part of the interface of ctypes; never raised here."""


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(f"{what} is not possible: the guest has no foreign functions (ctypes)")


def calcsize(code: str) -> int:
    """Bytes of a type code of ctypes; `struct` does not know all."""
    return _LONG_DOUBLE_BYTES if code == "g" else struct.calcsize(_SIZE_CODES.get(code, code))


class _CDataType(type):
    """Metaclass of all C types: `c_int * 3` is a type too."""

    def __mul__(cls, length: int) -> Any:
        return PyCArrayType(f"{cls.__name__}_Array_{length}", (Array,), {"_type_": cls, "_length_": length})

    def __rmul__(cls, length: int) -> Any:
        return cls * length

    def from_param(cls, value: object) -> NoReturn:
        """Raises: NotImplementedError: always."""
        _refuse("passing an argument")

    def from_buffer(cls, source: object, offset: int = 0) -> NoReturn:
        """Raises: NotImplementedError: always."""
        _refuse(f"making a {cls.__name__}")

    from_buffer_copy = from_address = from_buffer

    def in_dll(cls, library: object, name: str) -> NoReturn:
        """Raises: NotImplementedError: always."""
        _refuse(f"looking up {name!r}")


class PyCSimpleType(_CDataType):
    """Metaclass of `c_int` and its like; each knows its types of either byte order."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> None:
        super().__init__(name, bases, namespace, **options)
        if "_type_" in namespace:
            cls.__ctype_le__ = cls.__ctype_be__ = cls
            if sizeof(cls) > 1:
                swapped = {key: value for key, value in namespace.items() if key != "__classcell__"}
                other = type.__new__(PyCSimpleType, name, bases, swapped)
                other.__ctype_le__, other.__ctype_be__ = cls, other
                cls.__ctype_be__ = other


class PyCArrayType(_CDataType):
    """Metaclass of arrays."""


class PyCPointerType(_CDataType):
    """Metaclass of pointers."""


class _FieldsType(_CDataType):
    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> None:
        super().__init__(name, bases, namespace, **options)
        if "_fields_" in namespace:
            # Set again: ctypes swaps the byte order of fields where they are assigned.
            cls._fields_ = namespace["_fields_"]


class PyCStructType(_FieldsType):
    """Metaclass of structures."""


class UnionType(_FieldsType):
    """Metaclass of unions."""


class PyCFuncPtrType(_CDataType):
    """Metaclass of function types."""


class _CData:
    """Something that can be made empty, which numpy does to learn its type, and not be filled, read or pointed to."""

    def __new__(cls, *values: object, **fields: object) -> Any:
        if values or fields:
            _refuse(f"making a {cls.__name__}")
        return object.__new__(cls)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        _refuse(f"setting {name!r} of a {type(self).__name__}")

    def __getattr__(self, name: str) -> NoReturn:
        if name in (field[0] for field in getattr(type(self), "_fields_", ())) or name == "contents":
            _refuse(f"reading {name!r} of a {type(self).__name__}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class _SimpleCData(metaclass=PyCSimpleType):
    """One number, cut to the width of its type as C does."""

    _type_: str

    def __init__(self, value: Any = None) -> None:
        self.value = value

    @property
    def value(self) -> Any:
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._value = _fit(self._type_, type(self).__name__, value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._value!r})"


def _fit(code: str, name: str, value: Any) -> Any:
    """The value that a variable of this type code has after being set to `value`."""
    size = calcsize(code)
    if code in "bBhHiIlLqQ":
        number = 0 if value is None else operator.index(value)
        return int.from_bytes((number & (1 << 8 * size) - 1).to_bytes(size, "little"), "little", signed=code.islower())
    if code in "fdg":
        return struct.unpack("f" if code == "f" else "d", struct.pack("f" if code == "f" else "d", value or 0.0))[0]
    if code == "?":
        return bool(value)
    if code == "P":
        # Like ctypes, which has no null address but None.
        return None if value is None else (operator.index(value) & (1 << 8 * size) - 1) or None
    _refuse(f"making a {name}")


class Array(metaclass=PyCArrayType):
    """Base of array types; those of numbers can be made, read and written."""

    _type_: Any
    _length_: int

    def __init__(self, *values: object) -> None:
        if values and not isinstance(self._type_, PyCSimpleType):
            _refuse(f"making a {type(self).__name__}")
        if len(values) > self._length_:
            raise IndexError("invalid index")
        self._items = [self._type_(value) for value in values]
        self._items += [self._type_() for _ in range(self._length_ - len(values))]

    def __len__(self) -> int:
        return self._length_

    def __getitem__(self, index: Any) -> Any:
        found = self._items[index]
        return [item.value for item in found] if isinstance(index, slice) else found.value

    def __setitem__(self, index: int, value: object) -> None:
        self._items[index].value = value


class _Pointer(_CData, metaclass=PyCPointerType):
    pass


class Structure(_CData, metaclass=PyCStructType):
    """Base of structure types."""


class Union(_CData, metaclass=UnionType):
    """Base of union types."""


class CFuncPtr(metaclass=PyCFuncPtrType):
    """A function that can be named but not called."""

    def __init__(self, *where: object) -> None:
        if where and isinstance(where[0], tuple):
            _refuse(f"looking up {where[0][0]!r}")

    def __call__(self, *values: object) -> NoReturn:
        _refuse("calling a foreign function")


_pointer_type_cache: dict[Any, Any] = {}


def POINTER(target: Any) -> Any:
    """The pointer type to `target`."""
    if target not in _pointer_type_cache:
        name = f"LP_{target if isinstance(target, str) else target.__name__}"
        _pointer_type_cache[target] = PyCPointerType(name, (_Pointer,), {"_type_": target})
    return _pointer_type_cache[target]


def sizeof(kind: Any) -> int:
    """Bytes of a C type."""
    if isinstance(kind, PyCSimpleType):
        code: str = kind._type_  # type: ignore[attr-defined]
        return calcsize(code)
    if isinstance(kind, PyCArrayType):
        return kind._length_ * sizeof(kind._type_)  # type: ignore[attr-defined, no-any-return]
    if isinstance(kind, PyCPointerType | PyCFuncPtrType):
        return _POINTER_BYTES
    if isinstance(kind, PyCStructType | UnionType):
        return _layout(kind)[0]
    raise TypeError("this type has no size")


def _layout(kind: Any) -> tuple[int, int]:
    """Bytes and alignment of a structure or union, by the rules of C."""
    size, widest = 0, 1
    for _, field, *bits in getattr(kind, "_fields_", ()):
        if bits:
            _refuse("laying out a bit field")
        step = min(alignment(field), getattr(kind, "_pack_", _POINTER_BYTES * 4))
        widest = max(widest, step)
        begin = 0 if isinstance(kind, UnionType) else -(-size // step) * step
        size = max(size, begin + sizeof(field))
    return -(-size // widest) * widest, widest


def alignment(kind: Any) -> int:
    """Alignment of a C type in bytes."""
    if isinstance(kind, PyCArrayType):
        return alignment(kind._type_)  # type: ignore[attr-defined]
    return _layout(kind)[1] if isinstance(kind, PyCStructType | UnionType) else sizeof(kind)


def pointer(value: object) -> NoReturn:
    """Raises: NotImplementedError: always."""
    _refuse("making a pointer")


def byref(value: object, offset: int = 0) -> NoReturn:
    """Raises: NotImplementedError: always."""
    _refuse("making a pointer")


def addressof(value: object) -> NoReturn:
    """Raises: NotImplementedError: always."""
    _refuse("taking an address")


def resize(value: object, size: int) -> NoReturn:
    """Raises: NotImplementedError: always."""
    _refuse("resizing")


def get_errno() -> int:
    """No foreign function ever set it: 0."""
    return 0


def set_errno(value: int) -> int:
    """Nobody reads it: 0."""
    return 0


def dlopen(name: str | None, mode: int = 0) -> int:
    """A handle of the program itself; there are no other libraries.

    Raises: OSError: a library is named.
    """
    if name is not None:
        raise OSError(f"{name}: the guest has no shared libraries")
    return 0
