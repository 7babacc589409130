"""The file system inside the guest: a read-only tree, a capped /tmp, four devices, and nothing of the host."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path
from typing import Any

import pytest

import wasmexec

PRELUDE = "import warnings\nload = warnings.sys.modules['importlib'].import_module\nos = load('os')\n"

PERFORM = '''
def perform(os, root, operations):
    """Carry out the operations below `root`; gives what each came to: a value, or the name of the error."""
    codes = load_errorcode()
    descriptors, outcomes = [], []

    def one(name, arguments):
        paths = [root + "/" + item for item in arguments if isinstance(item, str)]
        numbers = [item for item in arguments if not isinstance(item, str)]
        if name == "open":
            flags = 0
            for flag in numbers[0]:
                flags |= getattr(os, flag)
            descriptors.append(os.open(paths[0], flags, 0o666))
            return len(descriptors)
        if name == "list":
            return sorted(os.listdir(paths[0]))
        if name == "stat":
            found = os.stat(paths[0])
            return [found.st_mode >> 12, found.st_size if found.st_mode >> 12 == 8 else 0]
        if name in ("mkdir", "rmdir", "unlink", "rename"):
            return getattr(os, name)(*paths)
        if not descriptors:
            return None
        fd = descriptors[numbers[0] % len(descriptors)]
        if name == "close":
            descriptors.remove(fd)
            return os.close(fd)
        if name == "fstat":
            found = os.fstat(fd)
            return [found.st_mode >> 12, found.st_size, found.st_nlink] if found.st_mode >> 12 == 8 else None
        if name == "write":
            return os.write(fd, bytes([numbers[1] % 251]) * numbers[1])
        if name == "read":
            data = os.read(fd, numbers[1])
            return [len(data), sum(data)]
        if name == "pread":
            data = os.pread(fd, numbers[1], numbers[2])
            return [len(data), sum(data)]
        if name == "seek":
            return None if os.fstat(fd).st_mode >> 12 == 4 else os.lseek(fd, numbers[1], numbers[2])
        if name == "truncate":
            return os.ftruncate(fd, numbers[1])
        raise ValueError(name)

    for name, arguments in operations:
        try:
            outcomes.append(one(name, arguments))
        except OSError as error:
            # Which of two errors comes first when both source and target are wrong is nobody's promise.
            outcomes.append("error" if name == "rename" else codes[error.errno])
    for fd in descriptors:
        os.close(fd)
    return outcomes
'''

RANDOM_STATEMENT = (
    PRELUDE
    + "def load_errorcode(): return load('errno').errorcode\n"
    + PERFORM
    + "os.mkdir('/tmp/root')\n"
    + "return [{'outcomes': perform(os, '/tmp/root', INPUT_DATA[0]['operations'])}]"
)


def rows_of(executor: wasmexec.Executor, statement: str, **options: Any) -> list[dict[str, Any]]:
    result = executor.run(PRELUDE + statement, **options)
    result.raise_for_status()
    return result.rows


def random_operations(seed: int, count: int) -> list[list[Any]]:
    choose = random.Random(seed)

    def path() -> str:
        return "/".join(choose.choice("abcd") for _ in range(choose.choice((1, 1, 1, 2, 2, 3))))

    def flags() -> list[str]:
        found = [choose.choice(("O_RDONLY", "O_WRONLY", "O_RDWR"))]
        if choose.random() < 0.6:
            found += ["O_CREAT"] + ["O_EXCL"] * (choose.random() < 0.3)
        return found + ["O_TRUNC"] * (choose.random() < 0.2) + ["O_APPEND"] * (choose.random() < 0.3)

    def operation() -> list[Any]:
        name = choose.choice(
            ("open",) * 5 + ("close", "mkdir", "mkdir", "rmdir", "unlink", "unlink", "rename", "rename", "stat", "list")
            + ("write",) * 4 + ("read", "read", "pread", "seek", "truncate", "fstat")
        )  # fmt: skip
        which, size = choose.randrange(100), choose.choice((0, 1, 10, 300, 5000))
        arguments: dict[str, list[Any]] = {
            "open": [path(), flags()], "rename": [path(), path()], "close": [which], "fstat": [which],
            "write": [which, size], "read": [which, size], "pread": [which, size, choose.randrange(20_000)],
            "seek": [which, choose.randrange(-100, 20_000), choose.randrange(3)],
            "truncate": [which, choose.randrange(20_000)],
        }  # fmt: skip
        return [name, arguments.get(name, [path()])]

    return [operation() for _ in range(count)]


@pytest.mark.parametrize("seed", range(6))
def test_random_file_operations_do_what_they_do_on_the_host(
    executor: wasmexec.Executor, tmp_path: Path, seed: int
) -> None:
    operations = random_operations(seed, 3000)
    result = executor.run(RANDOM_STATEMENT, input_data=[{"operations": operations}])
    result.raise_for_status()
    names: dict[str, Any] = {"load_errorcode": lambda: errno.errorcode}
    exec(PERFORM, names)
    expected = names["perform"](os, str(tmp_path), operations)
    actual = result.rows[0]["outcomes"]
    assert len(set(map(str, expected))) > 50
    for index, operation in enumerate(operations):
        assert actual[index] == expected[index], (index, operation)


def test_the_root_holds_the_image_and_nothing_of_the_host(executor: wasmexec.Executor) -> None:
    statement = "return [{'root': sorted(os.listdir('/')), 'cwd': os.getcwd(), 'host': os.path.exists('/etc')}]"
    [row] = rows_of(executor, statement)
    assert row == {"root": ["dev", "lib", "tmp", "wasmexec"], "cwd": "/", "host": False}


@pytest.mark.parametrize(
    "action",
    [
        "open('/lib/python3.11/new.txt', 'w')",
        "open('/wasmexec/image.json', 'a')",
        "os.remove('/wasmexec/image.json')",
        "os.rmdir('/lib/python3.11/json')",
        "os.mkdir('/new')",
        "os.rename('/wasmexec/image.json', '/wasmexec/other.json')",
    ],
)
def test_the_image_cannot_be_changed(executor: wasmexec.Executor, action: str) -> None:
    statement = f"""
assert open('/wasmexec/image.json').read(1) == '{{'
try:
    {action}
except OSError as error:
    return [{{'name': load('errno').errorcode[error.errno]}}]
"""
    assert rows_of(executor, statement) == [{"name": "EROFS"}]


def test_tmp_is_gone_in_the_next_execution(executor: wasmexec.Executor) -> None:
    statement = """
before = os.listdir('/tmp')
open('/tmp/mine', 'w').write('x')
return [{'before': before, 'after': os.listdir('/tmp')}]
"""
    first, second = (rows_of(executor, statement)[0] for _ in range(2))
    assert first == second
    assert set(first["after"]) == {*first["before"], "mine"}


def test_tmp_takes_64_mib_and_not_one_byte_more(executor: wasmexec.Executor) -> None:
    statement = """
used = sum(os.stat('/tmp/' + name).st_size for name in os.listdir('/tmp'))
with open('/tmp/big', 'wb', buffering=0) as file:
    file.truncate((64 << 20) - used - 1)
    file.seek(0, 2)
    last = file.write(b'x')
    try:
        file.write(b'y')
    except OSError as error:
        refused = error.strerror
os.remove('/tmp/big')
return [{'last': last, 'refused': refused, 'again': open('/tmp/small', 'w').write('fits')}]
"""
    assert rows_of(executor, statement) == [{"last": 1, "refused": "No space left on device", "again": 4}]


def test_tmp_takes_4096_files_and_directories_and_not_one_more(executor: wasmexec.Executor) -> None:
    statement = """
made = 1 + sum(1 + len(files) for _, _, files in os.walk('/tmp')) - 1
names = [f'/tmp/d{index}' for index in range(4096 - made)]
for name in names:
    os.mkdir(name)
try:
    open('/tmp/more', 'w')
except OSError as error:
    refused = error.strerror
os.rmdir(names[0])
open('/tmp/more', 'w').close()
return [{'refused': refused, 'listed': len(set(os.listdir('/tmp')) & {'more', 'd1', 'd4000'})}]
"""
    assert rows_of(executor, statement) == [{"refused": "No space left on device", "listed": 3}]


def test_a_removed_file_lives_while_it_is_open(executor: wasmexec.Executor) -> None:
    statement = """
file = open('/tmp/here', 'w+')
os.remove('/tmp/here')
file.write('still')
file.seek(0)
return [{'text': file.read(), 'links': os.fstat(file.fileno()).st_nlink, 'listed': 'here' in os.listdir('/tmp')}]
"""
    assert rows_of(executor, statement) == [{"text": "still", "links": 0, "listed": False}]


def test_temporary_files_archives_and_trees_work(executor: wasmexec.Executor) -> None:
    statement = """
tempfile, zipfile, shutil = load('tempfile'), load('zipfile'), load('shutil')
with tempfile.TemporaryDirectory() as folder:
    with zipfile.ZipFile(folder + '/a.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('inner/text', 'text' * 1000)
    with zipfile.ZipFile(folder + '/a.zip') as archive:
        archive.extractall(folder + '/out')
    text = open(folder + '/out/inner/text').read()
    shutil.move(folder + '/out', folder + '/moved')
    names = sorted(os.listdir(folder))
with tempfile.TemporaryFile() as unnamed:
    unnamed.write(b'x')
    size = unnamed.tell()
return [{'right': text == 'text' * 1000, 'names': names, 'left': os.path.exists(folder), 'size': size}]
"""
    assert rows_of(executor, statement) == [{"right": True, "names": ["a.zip", "moved"], "left": False, "size": 1}]


def test_devices_and_standard_streams(executor: wasmexec.Executor) -> None:
    statement = """
with open('/dev/null', 'r+b', buffering=0) as null:
    written, read = null.write(b'gone'), null.read()
return [{'written': written, 'read': read, 'random': open('/dev/urandom', 'rb').read(16),
         'devices': sorted(os.listdir('/dev')), 'terminals': [os.isatty(fd) for fd in (0, 1, 2)],
         'input': os.read(0, 10)}]
"""
    first, second = (rows_of(executor, statement)[0] for _ in range(2))
    assert first.pop("random") != second.pop("random")
    assert first == second
    assert first == {
        "written": 4, "read": "", "devices": ["null", "random", "urandom"], "terminals": [False] * 3, "input": "",
    }  # fmt: skip


def test_512_descriptors_are_the_most_and_closing_one_makes_room(executor: wasmexec.Executor) -> None:
    statement = """
fds = []
try:
    while True:
        fds.append(os.open('/wasmexec/image.json', os.O_RDONLY))
except OSError as error:
    refused = error.strerror
os.close(fds[100])
return [{'refused': refused, 'highest': fds[-1], 'reused': os.open('/dev/null', os.O_RDONLY) == fds[100]}]
"""
    [row] = rows_of(executor, statement)
    assert row == {"refused": "Too many open files", "highest": 511, "reused": True}
