"""mmap in the guest: a shared map is the file, a private one is a copy, and pages are those of Linux."""

import mmap
import os
import tempfile

assert mmap.PAGESIZE == mmap.ALLOCATIONGRANULARITY == 4096
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "mapped")
    with open(path, "wb+") as file:
        file.write(bytes(4096) + b"second page")
        file.flush()
        shared = mmap.mmap(file.fileno(), 0)
        rest = mmap.mmap(file.fileno(), 11, access=mmap.ACCESS_READ, offset=4096)
        copied = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    shared[4096:4102] = b"SECOND"
    assert rest[:] == b"SECOND page"
    assert copied[4096:] == b"second page"
    with open(path, "rb") as file:
        assert file.read()[4096:] == b"SECOND page"
    with open(path, "ab") as file:
        file.write(bytes(4_000_000))
    assert shared.size() == 4_004_107
    rest.close()
    shared.resize(4_004_107)
    shared[-1] = 7
    shared.flush()
    with open(path, "rb") as file:
        assert file.read()[-2:] == b"\0\7"
    shared.close()
    copied.close()

nowhere = mmap.mmap(-1, 10_000)
nowhere.write(b"text")
assert nowhere[:5] == b"text\0"
try:
    nowhere.size()
except OSError:
    pass
else:
    raise AssertionError("memory of no file has a size on disk")
