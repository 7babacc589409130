"""bz2 in the guest: round trips, whole and in pieces, and the error of damaged data."""

import bz2

text = b"wasm " * 20_000
packed = bz2.compress(text)
assert len(packed) < 500, len(packed)
assert bz2.decompress(packed) == text

decompressor = bz2.BZ2Decompressor()
assert b"".join(decompressor.decompress(packed[start : start + 7]) for start in range(0, len(packed), 7)) == text
assert decompressor.eof

try:
    bz2.decompress(b"not bzip2 data")
except OSError as error:
    assert str(error) == "Invalid data stream", error
else:
    raise AssertionError("damaged data was accepted")
