# === np.memmap in every mode, with offsets
import numpy as np
import warnings

os = warnings.sys.modules["os"]
name = "/tmp/wasmexec-maps-of-modes"
rows = []

def add(case, function):
    try:
        value = function()
    except Exception as error:
        value = f"{type(error).__name__}: {error}"
    with open(name, "rb") as file:
        content = file.read()
    rows.append({"case": case, "value": value, "size": len(content), "sum": sum(content), "end": content[-8:].hex()})

def made(array):
    return [
        type(array).__name__, str(array.dtype), array.shape, array.mode, array.offset, str(array.filename),
        str(array.flags), array.strides, float(array.sum()), type(array.base).__name__, len(array._mmap), repr(array._mmap),
    ]

def changed(mode, **options):
    array = np.memmap(name, dtype="<i4", mode=mode, **options)
    array[1] = 1_000_000
    array[-2:] += 5
    facts = made(array)
    array.flush()
    return facts

np.arange(3000, dtype="<i4").tofile(name)
add("default", lambda: made(np.memmap(name)))
for mode in ("r", "r+", "c", "readonly", "readwrite", "copyonwrite", "w+", "x"):
    add(mode, lambda: made(np.memmap(name, dtype="<i4", mode=mode)))
np.arange(3000, dtype="<i4").tofile(name)
for mode in ("r", "r+", "c"):
    add("change " + mode, lambda: changed(mode))
    add("change part " + mode, lambda: changed(mode, offset=4 * 1030, shape=(7,)))
for offset in (0, 1, 4, 4095, 4096, 4100, 8192, 11_996, 11_999, 12_000, 12_001, 2**31, 2**33, -4):
    add(f"offset {offset}", lambda: made(np.memmap(name, dtype="<i4", mode="r", offset=offset)))
    add(f"bytes {offset}", lambda: made(np.memmap(name, mode="r", offset=offset)))
for shape in (1, 0, 3000, 3001, (2, 1500), (2, 1501), (-1,), -5, (2, 0)):
    add(f"shape {shape}", lambda: made(np.memmap(name, dtype="<i4", mode="r", shape=shape)))
    add(f"order {shape}", lambda: made(np.memmap(name, dtype="<i4", mode="c", shape=shape, order="F")))
add("longer", lambda: made(np.memmap(name, dtype="<i4", mode="r+", shape=(2, 4000))))
add("new", lambda: made(np.memmap(name, dtype="<f8", mode="w+", shape=(40, 50), offset=4096)))
add("new, changed", lambda: changed("w+", shape=300, offset=20))
add("structure", lambda: str(np.memmap(name, dtype=[("a", "<i2"), ("b", "S3")], mode="r", shape=2).tolist()))
add("odd", lambda: made(np.memmap(name, dtype="<i8", mode="r", offset=5)))
os.truncate(name, 0)
for mode in ("r", "r+", "w+", "c"):
    add("empty " + mode, lambda: made(np.memmap(name, mode=mode)))
os.remove(name)
return rows

# === maps of one file see each other and the file
import numpy as np
import warnings

os = warnings.sys.modules["os"]
name = "/tmp/wasmexec-maps-of-one-file"
rows = []

def content():
    with open(name, "rb") as file:
        return np.frombuffer(file.read(), "<i8").tolist()

def add(case, *values):
    rows.append({"case": case, "file": content(), "values": [np.asarray(value).tolist() for value in values]})

first = np.memmap(name, dtype="<i8", mode="w+", shape=6)
first[:] = range(6)
second = np.memmap(name, dtype="<i8", mode="r+")
reader = np.memmap(name, dtype="<i8", mode="r", offset=16)
private = np.memmap(name, dtype="<i8", mode="c")
private[0] = -1
add("made", first, second, reader, private)
first[2] = 20
second[3] = 30
second.flush()
add("written", first, second, reader, private[:1])
with open(name, "r+b") as file:
    file.seek(32)
    file.write(np.array([44, 55], "<i8").tobytes())
add("file written", first, second, reader)
with open(name, "r+b") as file:
    file.readinto(memoryview(second)[1:3].cast("B"))
    file.seek(0)
    file.write(memoryview(second)[2:5].cast("B"))
add("through itself", first, second)
part, view = second[4:], memoryview(first)
del second
part += 1
add("part", first, part)
with open(name, "ab") as file:
    file.write(np.arange(100, 104, dtype="<i8").tobytes())
longer = np.memmap(name, dtype="<i8", mode="r+")
longer[-1] = 7
longer[0] = 70
first[1] = 71
add("grown", first, longer, reader)
with open(name, "ab") as file:
    file.write(np.arange(400_000, dtype="<i8").tobytes())
first[0], longer[-1] = 72, 73
with open(name, "rb") as file:
    data = np.frombuffer(file.read(), "<i8")
rows.append({"case": "grown more", "file": data[:12].tolist(), "values": [len(data), int(data.sum()), first.tolist(), longer.tolist()]})
with open(name, "r+b") as file:
    file.seek(60)
    file.write(bytes(range(100)) * 10_000)
    file.seek(60)
    again = file.read(1_000_000)
rows.append({"case": "over both", "values": [again == bytes(range(100)) * 10_000, longer.tolist()]})
os.remove(name)
first[0] = 99
rows.append({"case": "removed", "values": [first.tolist(), os.path.exists(name), first._mmap.size()]})
del first, part, view, longer, reader
open(name, "wb").close()
kept = np.memmap(name, dtype="<i8", mode="w+", shape=4)
kept[:] = 5
os.rename(name, name + "-moved")
kept[0] = 6
rows.append({"case": "moved", "values": [open(name + "-moved", "rb").read().hex()]})
os.remove(name + "-moved")
return rows

# === files that numpy and pandas map
import io
import numpy as np
import pandas as pd
import warnings

os = warnings.sys.modules["os"]
name = "/tmp/wasmexec-maps-of-formats"
rows = []

def add(case, function):
    try:
        value = function()
    except Exception as error:
        value = f"{type(error).__name__}: {error}".replace(name, "NAME")
    rows.append({"case": case, "value": value})

table = np.arange(12.0).reshape(3, 4)
np.save(name + ".npy", table)
np.savez(name + ".npz", a=table)
for mode in (None, "r", "r+", "c", "w+"):
    add(f"load {mode}", lambda: [str(type(np.load(name + ".npy", mmap_mode=mode))), np.load(name + ".npy", mmap_mode=mode).tolist()])
def written(mode):
    array = np.load(name + ".npy", mmap_mode=mode)
    array[1, 1] = 50
    return [array.tolist(), str(array.flags)]
np.save(name + ".npy", np.asfortranarray(table))
for mode in ("r", "r+", "c"):
    add(f"write {mode}", lambda: written(mode))
    add(f"after {mode}", lambda: np.load(name + ".npy").tolist())
add("npz", lambda: np.load(name + ".npz", mmap_mode="r")["a"].tolist())
np.save(name + ".npy", np.array([{"a": 1}], object))
add("objects", lambda: np.load(name + ".npy", mmap_mode="r"))
def opened(**options):
    array = np.lib.format.open_memmap(name + "-open.npy", **options)
    facts = [str(type(array)), array.shape, str(array.dtype), bool(array.flags.f_contiguous), array.offset, array.mode]
    if array.flags.writeable:
        array[...] = 3
    return [*facts, float(array.sum())]
add("open_memmap missing", lambda: opened(mode="r"))
add("open_memmap w+", lambda: opened(mode="w+", dtype="<f4", shape=(3, 5), fortran_order=True))
add("open_memmap r", lambda: opened(mode="r"))
add("open_memmap r+", lambda: opened())
add("open_memmap c", lambda: opened(mode="c"))
add("open_memmap file", lambda: np.load(name + "-open.npy").tolist())
add("open_memmap w", lambda: opened(mode="w"))
add("open_memmap objects", lambda: opened(mode="w+", dtype=object, shape=2))

frame = pd.DataFrame({"n": range(200), "t": ["Žluťoučký, kůň"] * 200, "d": pd.date_range("2024-01-01", periods=200)})
frame.to_csv(name + ".csv", index=False)
frame.to_csv(name + "-1250.csv", index=False, encoding="cp1250")
def read(suffix, **options):
    found = pd.read_csv(name + suffix, memory_map=True, **options)
    return found.equals(pd.read_csv(name + suffix, **options)), found.tail(2).to_csv()
for engine in ("c", "python"):
    add(f"read_csv {engine}", lambda: read(".csv", engine=engine, parse_dates=["d"]))
    add(f"read_csv 1250 {engine}", lambda: read("-1250.csv", engine=engine, encoding="cp1250"))
    add(f"read_csv wrong {engine}", lambda: read("-1250.csv", engine=engine))
    add(f"read_csv parts {engine}", lambda: [len(part) for part in pd.read_csv(name + ".csv", memory_map=True, chunksize=70, engine=engine)])
    add(f"read_csv buffer {engine}", lambda: len(pd.read_csv(io.StringIO("a\n1\n"), memory_map=True, engine=engine)))
    add(f"read_csv missing {engine}", lambda: read("-missing.csv", engine=engine))
add("read_fwf", lambda: len(pd.read_fwf(name + ".csv", memory_map=True)))
open(name + ".csv", "w").close()
add("read_csv empty", lambda: read(".csv"))
for end in (".npy", ".npz", "-open.npy", ".csv", "-1250.csv"):
    os.remove(name + end)
return rows

# === what mmap itself answers, and its errors
import numpy as np
import warnings

name = "/tmp/wasmexec-maps-themselves"
load = warnings.sys.modules["importlib"].import_module
mmap, os, weakref = map(load, ("mmap", "os", "weakref"))
rows = []

def add(case, function):
    try:
        value = function()
        value = value if isinstance(value, (int, str, list)) else value.hex() if isinstance(value, bytes) else repr(value)
    except Exception as error:
        value = f"{type(error).__name__}: {error}"
    rows.append({"case": case, "value": value})

constants = [key for key in dir(mmap) if key[0].isupper()]
rows.append({"case": "constants", "value": [[key, getattr(mmap, key)] for key in constants]})
rows.append({"case": "methods", "value": sorted(set(dir(mmap.mmap)))})
with open(name, "wb") as file:
    file.write(bytes(range(256)) * 40)
both = os.open(name, os.O_RDWR)
reading = os.open(name, os.O_RDONLY)
writing = os.open(name, os.O_WRONLY)
null = os.open("/dev/null", os.O_RDWR)
folder = os.open("/tmp", os.O_RDONLY)
files = {"both": both, "reading": reading, "writing": writing, "null": null, "folder": folder, "none": 400, "anonymous": -1, "minus": -2}

def mapped(*arguments, **options):
    with mmap.mmap(*arguments, **options) as made:
        return [repr(made), len(made), sum(made[:]), made[:3].hex()]

for key, number in files.items():
    for access in (mmap.ACCESS_DEFAULT, mmap.ACCESS_READ, mmap.ACCESS_WRITE, mmap.ACCESS_COPY, 4, -1):
        add(f"{key} access {access}", lambda: mapped(number, 1000, access=access))
    for flags in (0, mmap.MAP_PRIVATE, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 3, 4, 12):
        add(f"{key} flags {flags}", lambda: mapped(number, 1000, flags=flags))
    for protection in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_EXEC):
        add(f"{key} prot {protection}", lambda: mapped(number, 1000, prot=protection))
        add(f"{key} prot {protection} private", lambda: mapped(number, 1000, prot=protection, flags=mmap.MAP_PRIVATE))
    add(f"{key} access and flags", lambda: mapped(number, 10, mmap.MAP_PRIVATE, access=mmap.ACCESS_READ))
    for length in (0, 1, 4096, 10_240, 10_241, 2**62, 2**63, -1, 1.5, None):
        if key != "anonymous" or length != 2**62:
            add(f"{key} length {length}", lambda: mapped(number, length))
    for offset in (1, 4095, 4096, 8192, 10_240, 12_288, 2**40, 2**63 - 4096, -1, -4096):
        add(f"{key} offset {offset}", lambda: mapped(number, 0, offset=offset))
        add(f"{key} offset {offset}, one byte", lambda: mapped(number, 1, offset=offset, access=mmap.ACCESS_READ))

one = mmap.mmap(both, 0)
two = mmap.mmap(both, 2048, offset=8192)
for case, function in {
    "size": lambda: one.size(), "size of part": lambda: two.size(), "len": lambda: len(two), "find": lambda: one.find(b"\xff\x00"),
    "find far": lambda: one.find(b"\x07", 9_000, 2**40), "rfind": lambda: one.rfind(b"\x07", -300), "read": lambda: one.read(4),
    "read line": lambda: len(one.readline()), "tell": lambda: one.tell(), "seek": lambda: one.seek(-5, 2), "read end": lambda: one.read(100),
    "read none": lambda: one.read(None), "seek out": lambda: one.seek(1, 2), "seek whence": lambda: one.seek(0, 7), "read byte": lambda: one.read_byte(),
    "write out": lambda: one.write(b"x"), "write": lambda: (one.seek(8190), one.write(b"abcdef"))[1], "seen": lambda: two[:6],
    "write byte": lambda: one.write_byte(300), "index": lambda: one[10_240], "item": lambda: one[-1], "set": lambda: one.__setitem__(8192, 65),
    "set wrong": lambda: one.__setitem__(0, 256), "set slice": lambda: one.__setitem__(slice(0, 8, 2), b"wxyz"), "slice": lambda: one[7::-1],
    "set short": lambda: one.__setitem__(slice(0, 8), b"1"), "delete": lambda: one.__delitem__(0), "move": lambda: one.move(5, 0, 100),
    "move out": lambda: one.move(10_200, 0, 100), "moved": lambda: one[:12], "flush": lambda: one.flush(), "flush part": lambda: one.flush(4096, 10),
    "flush inside": lambda: one.flush(1, 10), "flush end": lambda: one.flush(10_240, 0), "flush far": lambda: one.flush(0, 10_241), "flush minus": lambda: one.flush(-1),
    "compare": lambda: one == two, "hash": lambda: hash(one) == hash(one), "bool": lambda: bool(one), "iterate": lambda: next(iter(one)), "in": lambda: b"A" in one,
    "advice": lambda: one.madvise(mmap.MADV_NORMAL), "advice inside": lambda: one.madvise(mmap.MADV_NORMAL, 1), "advice unknown": lambda: one.madvise(12345),
    "advice out": lambda: one.madvise(0, 10_240), "advice length": lambda: one.madvise(0, 0, -1), "no longer needed": lambda: (one.madvise(mmap.MADV_DONTNEED), one[:8])[1],
    "poked": lambda: mmap.mmap(both, 0, access=mmap.ACCESS_READ).__setitem__(0, 1), "resize read": lambda: mmap.mmap(both, 0, access=mmap.ACCESS_READ).resize(5),
    "subclass": lambda: type("Sub", (mmap.mmap,), {})(both, 10)[:3], "no arguments": lambda: mmap.mmap(), "text": lambda: mmap.mmap("1", 2),
    "weak": lambda: weakref.ref(mmap.mmap(-1, 5))(), "pickle": lambda: load("pickle").dumps(one), "copy": lambda: load("copy").copy(one),
}.items():
    add(case, function)
view = memoryview(two)
add("close while viewed", two.close)
add("resize while viewed", lambda: two.resize(10))
view.release()
add("close", two.close)
add("close again", two.close)
add("closed", lambda: [str(two), two.closed])
for method in ("read", "size", "flush", "tell", "readline", "__len__", "__enter__", "read_byte"):
    add(f"closed {method}", getattr(two, method))
add("closed index", lambda: two[0])
add("closed view", lambda: memoryview(two))
add("resize larger", lambda: (one.resize(20_000), len(one), one.size(), sum(one[10_240:]), os.stat(name).st_size)[1:])
add("resize smaller", lambda: (one.resize(5_000), len(one), one.size(), os.stat(name).st_size)[1:])
add("resize again", lambda: (one.resize(5_100_000), len(one), one.size(), sum(one[5_000:]), sum(one[:5_000]))[1:])
add("resize minus", lambda: one.resize(-1))
add("resize nothing", lambda: one.resize(0))
add("file after", lambda: os.stat(name).st_size)
empty = mmap.mmap(-1, 100, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
empty[:3] = b"abc"
add("anonymous size", empty.size)
add("anonymous resize", lambda: (empty.resize(9_000), len(empty), empty[:4], sum(empty[:]))[1:])
add("anonymous, no longer needed", lambda: (empty.madvise(mmap.MADV_DONTNEED), sum(empty[:]))[1])
add("anonymous removed", lambda: empty.madvise(mmap.MADV_REMOVE))

for key, call in {
    "two maps": lambda made, other: [made.close(), other[:4].hex()], "numpy": lambda made, other: np.frombuffer(made, "u1")[:4].tolist(),
    "writelines": lambda made, other: os.write(both, made[:0]), "bytes": lambda made, other: bytes(made)[:5].hex(),
}.items():
    os.truncate(name, 0)
    os.pwrite(both, bytes(range(200)), 0)
    add(key, lambda: call(mmap.mmap(both, 0), mmap.mmap(both, 0)))
for number in (both, reading, writing, null, folder):
    os.close(number)
add("after closing files", lambda: [one.closed, one.size()])
one.close()
os.remove(name)
return rows
