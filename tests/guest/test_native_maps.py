"""Files mapped into memory: maps of one file, other maps and the file are one, and hostile arguments are errors."""

from __future__ import annotations

import errno
import mmap
import os
import random
from pathlib import Path
from typing import Any

import pytest

import wasmexec

PRELUDE = (
    "import warnings\nload = warnings.sys.modules['importlib'].import_module\n"
    "os, mmap, errno = map(load, ('os', 'mmap', 'errno'))\n"
)

PERFORM = '''
def perform(os, mmap, errorcode, root, operations):
    """Carry out the operations on three files below `root`; gives what each came to: a value, or its error."""
    files = [os.open(f"{root}/{name}", os.O_RDWR | os.O_CREAT) for name in "abc"]
    maps = []

    def one(name, which, start, length, number):
        file = files[which % 3]
        if name == "write":
            return os.pwrite(file, bytes([number]) * length, start)
        if name == "read":
            found = os.pread(file, length, start)
            return [len(found), sum(found), os.fstat(file).st_size]
        if name == "truncate":
            return os.ftruncate(file, start)
        if name == "map":
            if os.fstat(file).st_size > 60_000 and any(which % 3 == other[3] for other in maps):
                return None  # more than an older map leaves room for: a test of its own
            kind = (mmap.ACCESS_READ, mmap.ACCESS_WRITE, mmap.ACCESS_WRITE, mmap.ACCESS_COPY)[number % 4]
            offset = (0, 0, 4096, 8192, 100)[number % 5]
            made = mmap.mmap(file, 0 if number % 3 else length, access=kind, offset=offset)
            maps.append((made, kind, offset, which % 3))
            return len(made)
        if not maps:
            return None
        mapped, kind, offset, index = maps[which % len(maps)]
        if name == "unmap":
            del maps[which % len(maps)]
            return mapped.close()
        if name == "resize":
            if start > 50_000 and [index == other[3] for other in maps].count(True) > 1:
                return None
            return [mapped.resize(start), len(mapped), mapped.size()]
        if name == "flush":
            return mapped.flush(start // 4096 * 4096, length)
        # Beyond the file's end there is a bus error natively.
        live = max(0, min(len(mapped), mapped.size() - offset))
        start = min(start, live)
        stop = min(start + length, live)
        if name == "poke":
            mapped[start:stop] = bytes([number]) * (stop - start)
            return stop - start
        # What a private map shows of later changes of the file, nobody promises.
        if kind == mmap.ACCESS_COPY:
            return None
        return [stop - start, sum(mapped[start:stop]), mapped.find(b"\\7", start, stop)]

    outcomes = []
    for operation in operations:
        try:
            outcomes.append(one(*operation))
        except OSError as error:
            outcomes.append(errorcode[error.errno])
        except (ValueError, TypeError) as error:
            outcomes.append(str(error))
    for mapped, _, _, _ in maps:
        mapped.close()
    for file in files:
        os.close(file)
    return outcomes
'''


def rows_of(executor: wasmexec.Executor, statement: str, **options: Any) -> list[dict[str, Any]]:
    result = executor.run(PRELUDE + statement, **options)
    result.raise_for_status()
    return result.rows


def random_operations(seed: int, count: int) -> list[list[Any]]:
    choose = random.Random(seed)
    weights = {
        "write": 3,
        "read": 3,
        "truncate": 1,
        "flush": 1,
        "resize": 1,
        "map": 2,
        "unmap": 2,
        "poke": 4,
        "peek": 4,
    }
    names = [name for name, weight in weights.items() for _ in range(weight)]
    return [
        [
            choose.choice(names),
            choose.randrange(60),
            choose.choice((0, choose.randrange(200), choose.randrange(60_000), choose.randrange(300_000))),
            choose.choice((0, 1, 10, 300, 5000)),
            choose.randrange(1, 256),
        ]
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_random_operations_on_maps_do_what_they_do_on_the_host(
    executor: wasmexec.Executor, tmp_path: Path, seed: int
) -> None:
    operations = random_operations(seed, 3000)
    statement = PERFORM + "return [{'all': perform(os, mmap, errno.errorcode, '/tmp', INPUT_DATA[0]['operations'])}]"
    [row] = rows_of(executor, statement, input_data=[{"operations": operations}])
    names: dict[str, Any] = {}
    exec(PERFORM, names)
    expected = names["perform"](os, mmap, errno.errorcode, str(tmp_path), operations)
    assert len(set(map(str, expected))) > 100
    for index, operation in enumerate(operations):
        assert row["all"][index] == expected[index], (index, operation)


def test_a_statement_cannot_import_mmap_but_numpy_can(executor: wasmexec.Executor) -> None:
    result = executor.run("import mmap\nreturn []")
    assert isinstance(result.error, wasmexec.StatementRaised)
    assert result.error.type_name == "ImportError"
    [row] = rows_of(
        executor,
        "import numpy as np\narray = np.memmap('/tmp/x', '<i4', 'w+', shape=3)\narray[:] = 7\n"
        "return [{'sum': int(array.sum()), 'file': open('/tmp/x', 'rb').read().hex(), 'page': mmap.PAGESIZE}]",
    )
    assert row == {"sum": 21, "file": "070000000700000007000000", "page": 4096}


def test_files_of_the_image_are_mapped_as_copies(executor: wasmexec.Executor) -> None:
    statement = """
for path in ("/lib/python3.11/" + name for name in sorted(os.listdir("/lib/python3.11"))):
    if os.path.isfile(path) and os.path.getsize(path) > 5000:
        break
with open(path, "rb") as file:
    text = file.read()
    shared = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    rest = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, offset=4096)
    copied = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    try:
        mmap.mmap(file.fileno(), 0)
    except OSError as error:
        refusal = error.errno
copied[:4] = b"gone"
return [{
    "same": shared[:] == text, "rest": rest[:] == text[4096:], "copied": copied[:] == b"gone" + text[4:],
    "file": open(path, "rb").read() == text, "refusal": refusal, "size": shared.size() == len(text),
}]
"""
    [row] = rows_of(executor, statement)
    assert row == {"same": True, "rest": True, "copied": True, "file": True, "refusal": errno.EACCES, "size": True}


def test_a_file_that_grew_far_is_mapped_to_its_end_once_older_maps_are_gone(executor: wasmexec.Executor) -> None:
    statement = """
with open("/tmp/x", "w+b", 0) as file:
    file.write(bytes(5000))
    older = mmap.mmap(file.fileno(), 0)
    file.write(bytes(3_000_000))
    older[0] = 1
    within = mmap.mmap(file.fileno(), 60_000)
    within[1] = 2
    copied = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    errors = []
    for make in (lambda: mmap.mmap(file.fileno(), 0), lambda: older.resize(3_005_000)):
        try:
            make()
        except OSError as error:
            errors.append(error.errno)
    file.seek(0)
    seen = [list(file.read(3)), len(file.read()), list(copied[:3]), len(copied)]
    del within
    older.resize(3_005_000)
    whole = mmap.mmap(file.fileno(), 0)
    whole[-1] = 3
    return [{"errors": errors, "seen": seen, "older": [older[0], older[1], older[-1], len(older)]}]
"""
    [row] = rows_of(executor, statement)
    assert row == {
        "errors": [errno.ENOMEM, errno.ENOMEM],
        "seen": [[1, 2, 0], 3_004_997, [1, 2, 0], 3_005_000],
        "older": [1, 2, 3, 3_005_000],
    }


def test_a_map_written_to_its_own_file_is_copied_as_it_was(executor: wasmexec.Executor) -> None:
    statement = """
with open("/tmp/x", "w+b", 0) as file:
    file.write(bytes(range(250)) * 280)
    mapped = mmap.mmap(file.fileno(), 0)
    before = mapped[:]
    outcomes = []
    for start in (0, 100, 69_000, 134_000, 135_999, 200_000):
        os.pwrite(file.fileno(), before, 0)
        os.pwrite(file.fileno(), memoryview(mapped), start)
        outcomes.append(os.pread(file.fileno(), len(before), start) == before)
return [{"outcomes": outcomes}]
"""
    assert rows_of(executor, statement) == [{"outcomes": [True] * 6}]


def test_a_removed_file_counts_against_tmp_while_it_is_mapped(executor: wasmexec.Executor) -> None:
    statement = """
def fits():
    try:
        with open("/tmp/other", "wb") as file:
            file.truncate(30 << 20)
    except OSError as error:
        return error.errno
    finally:
        os.remove("/tmp/other")
    return 0

with open("/tmp/x", "w+b") as file:
    file.truncate(40 << 20)
    mapped = mmap.mmap(file.fileno(), 0)
os.remove("/tmp/x")
before = fits()
mapped[-1] = 1
mapped.close()
return [{"mapped": before, "closed": fits()}]
"""
    [row] = rows_of(executor, statement)
    assert row == {"mapped": errno.ENOSPC, "closed": 0}


def test_too_much_memory_is_an_error_and_the_map_was_not_made(executor: wasmexec.Executor) -> None:
    statement = """
errors = []
for length in (2**31 - 1, 2**31, 2**40, 2**63 - 1):
    try:
        mmap.mmap(-1, length)
    except OSError as error:
        errors.append(error.errno)
made = [mmap.mmap(-1, 1 << 20) for _ in range(20)]
return [{"errors": errors, "sum": sum(sum(item[:10]) for item in made)}]
"""
    assert rows_of(executor, statement) == [{"errors": [errno.ENOMEM] * 4, "sum": 0}]


def test_a_map_that_its_arguments_close_or_cut_is_not_touched(executor: wasmexec.Executor) -> None:
    statement = """
class Number:
    def __init__(self, act):
        self.act = act
    def __index__(self):
        self.act()
        return 90

calls = {
    "read": lambda made, n: made.read(n),
    "find": lambda made, n: made.find(b"x", n),
    "rfind": lambda made, n: made.rfind(b"x", 0, n),
    "write_byte": lambda made, n: made.write_byte(n),
    "resize": lambda made, n: made.resize(n),
    "flush": lambda made, n: made.flush(0, n),
    "move": lambda made, n: made.move(0, 1, n),
    "madvise": lambda made, n: made.madvise(0, 0, n),
    "index": lambda made, n: made[n],
    "slice": lambda made, n: made[:n],
    "step": lambda made, n: made[::n],
    "set": lambda made, n: made.__setitem__(n, 1),
    "set to": lambda made, n: made.__setitem__(80, n),
    "set slice": lambda made, n: made.__setitem__(slice(0, n), b"x" * 90),
}
rows = []
for name, call in calls.items():
    for end in (lambda made: made.close(), lambda made: made.resize(10)):
        made = mmap.mmap(-1, 100)
        try:
            outcome = repr(call(made, Number(lambda: end(made))))
        except Exception as error:
            outcome = str(error)
        rows.append(outcome)
return [{"closed": rows[::2], "cut": dict(zip(calls, rows[1::2]))}]
"""
    [row] = rows_of(executor, statement)
    assert row["closed"] == ["mmap closed or invalid"] * 14
    assert row["cut"]["index"] == row["cut"]["set"] == row["cut"]["set to"] == "mmap index out of range"
    assert row["cut"]["set slice"] == "mmap slice assignment is wrong size"
    assert row["cut"]["slice"] == repr(bytes(10))
    assert row["cut"]["move"] == "source, destination, or count out of range"


def test_descriptors_and_maps_come_back_when_maps_are_closed(executor: wasmexec.Executor) -> None:
    statement = """
with open("/tmp/x", "w+b") as file:
    file.write(bytes(10))
    file.flush()
    for _ in range(3000):
        mmap.mmap(file.fileno(), 0)[0] = 1
    kept, error = [], 0
    while not error:
        try:
            kept.append(mmap.mmap(file.fileno(), 0))
        except OSError as raised:
            error = raised.errno
    count = len(kept)
    kept.clear()
    mapped = mmap.mmap(file.fileno(), 0)
return [{"error": error, "many": count > 400, "again": list(mapped[:2])}]
"""
    assert rows_of(executor, statement) == [{"error": errno.EMFILE, "many": True, "again": [1, 0]}]
