"""The three kinds of argon2 give the answers of RFC 9106, section 5, and of the reference implementation's tests."""

from _argon2_cffi_bindings import ffi, lib


def raw(kind, version=0x13):
    """Test vector of RFC 9106: with a secret and associated data, over the low-level context."""
    out = ffi.new("uint8_t[]", 32)
    fields = {"pwd": b"\x01" * 32, "salt": b"\x02" * 16, "secret": b"\x03" * 8, "ad": b"\x04" * 12}
    keep = {name: ffi.new("uint8_t[]", value) for name, value in fields.items()}
    lengths = {f"{name}len": len(value) for name, value in fields.items()}
    context = ffi.new("argon2_context *", {
        "out": out, "outlen": 32, **keep, **lengths, "t_cost": 3, "m_cost": 32, "lanes": 4, "threads": 4,
        "version": version, "allocate_cbk": ffi.NULL, "free_cbk": ffi.NULL, "flags": lib.ARGON2_DEFAULT_FLAGS,
    })  # fmt: skip
    code = lib.argon2_ctx(context, kind)
    assert code == lib.ARGON2_OK, ffi.string(lib.argon2_error_message(code))
    return bytes(ffi.buffer(out)).hex()


assert raw(lib.Argon2_d) == "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb"
assert raw(lib.Argon2_i) == "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8"
assert raw(lib.Argon2_id) == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"

stored = b"$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"
assert lib.argon2_verify(stored, b"password", 8, lib.Argon2_i) == lib.ARGON2_OK
assert lib.argon2_verify(stored, b"passwore", 8, lib.Argon2_i) == lib.ARGON2_VERIFY_MISMATCH
