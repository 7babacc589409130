"""cffi's C half: types, memory and conversions work; what needs libffi or shared libraries says it is not there."""

import _cffi_backend

ffi = _cffi_backend.FFI()


def error_of(action):
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


sizes = {"char": 1, "short": 2, "int": 4, "long": 4, "long long": 8, "void *": 4, "double": 8, "size_t": 4}
for name, size in sizes.items():
    assert ffi.sizeof(name) == size, name

numbers = ffi.new("int[3]", [1, -2, 3])
assert list(numbers) == [1, -2, 3]
assert bytes(ffi.buffer(numbers)) == b"\x01\0\0\0\xfe\xff\xff\xff\x03\0\0\0"
text = ffi.new("char[]", b"guest")
assert ffi.string(text) == b"guest"
assert ffi.from_buffer(bytearray(b"ab"))[1] == b"b"
assert int(ffi.cast("unsigned char", 258)) == 2
assert error_of(lambda: numbers[3]) == "IndexError: index too large for cdata 'int[3]' (expected 3 < 3)"
assert "OverflowError" in error_of(lambda: ffi.new("short *", 1 << 20))

handle = ffi.new_handle(numbers)
assert ffi.from_handle(handle) is numbers

assert error_of(lambda: ffi.callback("int(int)", abs)).startswith("NotImplementedError: ffi.callback(): WebAssembly")
assert error_of(lambda: ffi.dlopen("libm.so.6")) == (
    "OSError: cannot load library 'libm.so.6': a WebAssembly guest has no shared libraries"
)
pointer = ffi.cast("int(*)(int)", 1)
assert error_of(lambda: pointer(1)).startswith("NotImplementedError: 'int(*)(int)' cannot be called through a pointer")
