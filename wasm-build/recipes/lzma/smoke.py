"""lzma in the guest: every container, filter and check, in pieces, known bytes, and the errors of damaged data."""

import io
import lzma

text = bytes(range(256)) * 40 + b"wasm " * 20_000

for container in (lzma.FORMAT_XZ, lzma.FORMAT_ALONE):
    for preset in (0, 6, 9 | lzma.PRESET_EXTREME):
        packed = lzma.compress(text, container, preset=preset)
        assert len(packed) < 1500, (container, preset, len(packed))
        assert lzma.decompress(packed) == text
for check in (lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256):
    assert lzma.is_check_supported(check)
    assert lzma.decompress(lzma.compress(text, check=check)) == text
names = ("X86", "POWERPC", "IA64", "ARM", "ARMTHUMB", "SPARC")
for first in [{"id": lzma.FILTER_DELTA, "dist": 5}, *({"id": getattr(lzma, f"FILTER_{name}")} for name in names)]:
    chain = [first, {"id": lzma.FILTER_LZMA2, "preset": 4}]
    assert lzma.decompress(lzma.compress(text, lzma.FORMAT_RAW, filters=chain), lzma.FORMAT_RAW, filters=chain) == text

# Made by xz on another machine: `printf 'known text\n' | xz`.
known = bytes.fromhex(
    "fd377a585a000004e6d6b4460200210116000000742fe5a301000a6b6e6f776e20746578740a000031fa3178dbcefd240001230bc21bfd09"
    "1fb6f37d010000000004595a"
)
assert lzma.decompress(known) == b"known text\n"
try:
    lzma.decompress(known[:-1])
except lzma.LZMAError as error:
    assert "end-of-stream marker" in str(error), error
else:
    raise AssertionError("a stream cut short was accepted")

packed = lzma.compress(text)
pieces = lzma.LZMADecompressor()
assert b"".join(pieces.decompress(packed[start : start + 7]) for start in range(0, len(packed), 7)) == text
assert pieces.eof
with lzma.open(io.BytesIO(packed)) as file:
    assert file.read(5) == text[:5]
    assert file.read(2**40) == text[5:]
with lzma.open(io.BytesIO(packed)) as file:
    assert file.read() == text

for damaged in (b"not lzma data", packed[:-20] + bytes(20)):
    try:
        lzma.decompress(damaged)
    except lzma.LZMAError:
        pass
    else:
        raise AssertionError("damaged data was accepted")
try:
    lzma.decompress(packed, memlimit=1 << 16)
except lzma.LZMAError as error:
    assert str(error) == "Memory usage limit exceeded", error
else:
    raise AssertionError("the memory limit was ignored")
