"""zlib and gzip in the guest: round trips, a known checksum, and the errors of damaged data."""

import gzip
import io
import zlib

text = b"wasm " * 20_000
for level in (1, 6, 9):
    packed = zlib.compress(text, level)
    assert len(packed) < 1_000, len(packed)
    assert zlib.decompress(packed) == text
assert zlib.crc32(b"123456789") == 0xCBF43926
assert zlib.adler32(b"Wikipedia") == 0x11E60398
assert zlib.ZLIB_RUNTIME_VERSION == "1.2.13"

stream = io.BytesIO()
with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as file:
    file.write(text)
assert gzip.decompress(stream.getvalue()) == text

try:
    zlib.decompress(b"not zlib data")
except zlib.error as error:
    assert "incorrect header check" in str(error), error
else:
    raise AssertionError("damaged data was accepted")
