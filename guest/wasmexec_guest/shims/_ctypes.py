"""Stands in for CPython's `_ctypes`, which needs libffi: types have names and sizes, nothing can be called or held.

`ctypes`, numpy and pandas import it and build tables of types; that works. Making an instance, loading a library or
calling a function raises NotImplementedError.
"""

from __future__ import annotations

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
_SIZE_CODES = {"O": "P", "z": "P", "Z": "P", "u": "i", "g": "d", "v": "h", "X": "P"}


class ArgumentError(Exception):
    """Part of the interface of ctypes; never raised here."""


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(f"{what} is not possible: the guest has no foreign functions (ctypes)")


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
            cls.__ctype_le__ = cls
            swapped = {key: value for key, value in namespace.items() if key != "__classcell__"}
            cls.__ctype_be__ = cls if sizeof(cls) == 1 else type.__new__(PyCSimpleType, name, bases, swapped)


class PyCArrayType(_CDataType):
    """Metaclass of arrays."""


class PyCPointerType(_CDataType):
    """Metaclass of pointers."""


class PyCStructType(_CDataType):
    """Metaclass of structures."""


class UnionType(_CDataType):
    """Metaclass of unions."""


class PyCFuncPtrType(_CDataType):
    """Metaclass of function types."""


class _CData:
    def __new__(cls, *values: object, **fields: object) -> NoReturn:
        _refuse(f"making a {cls.__name__}")


class _SimpleCData(_CData, metaclass=PyCSimpleType):
    pass


class Array(_CData, metaclass=PyCArrayType):
    """Base of array types."""


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
        return struct.calcsize(_SIZE_CODES.get(code, code))
    if isinstance(kind, PyCArrayType):
        return kind._length_ * sizeof(kind._type_)  # type: ignore[attr-defined, no-any-return]
    if isinstance(kind, PyCPointerType | PyCFuncPtrType):
        return _POINTER_BYTES
    raise TypeError("this type has no size")


def alignment(kind: Any) -> int:
    """Alignment of a C type in bytes."""
    element = getattr(kind, "_type_", None)
    return alignment(element) if isinstance(kind, PyCArrayType) else sizeof(kind)


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
