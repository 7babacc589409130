# === names and numbers of errno
import random

os, errno = random._os, random._os.sys.modules["errno"]
names = {name: getattr(errno, name) for name in dir(errno) if name.startswith("E")}
codes = {str(number): name for number, name in sorted(errno.errorcode.items())}
return [{"names": names, "codes": codes}]

# === numbers of the resolver
import warnings

socket = warnings.sys.modules["importlib"].import_module("socket")
names = ["ADDRFAMILY", "AGAIN", "BADFLAGS", "FAIL", "FAMILY", "MEMORY", "NODATA", "NONAME", "SERVICE", "SOCKTYPE", "SYSTEM"]
rows = [{"name": name, "number": getattr(socket, f"EAI_{name}")} for name in names]
try:
    socket.getaddrinfo("host.invalid", 80, flags=socket.AI_NUMERICHOST)
except socket.gaierror as error:
    rows.append({"name": "no address", "number": error.errno})
return rows

# === what each number means, and which class an OSError made of it has
import random

os = random._os
rows = []
for number in [*range(-2, 141), 1000, 2**31 - 1, -(2**31)]:
    error = OSError(number, "text", "file", None, "other")
    plain = OSError(number, "text")
    rows.append({
        "number": number, "text": os.strerror(number), "type": type(plain).__name__, "string": str(error),
        "parts": [error.errno, error.strerror, error.filename, error.filename2, list(error.args)],
        "same": plain.errno == number and type(plain) is type(error),
    })
return rows

# === errors that a statement meets in open() and catches by class or number
relative = ["missing.csv", "", "missing/folder/x", "n" * 300, b"bytes.csv", "caf\u00e9.csv", "\udcff", "a'b\"c", "\0"]
names = ["/dev/null/x", "/tmp", "/tmp/", "/", ".", "/tmp/" + "d/" * 2500, b"/tmp", "/tmp/not/there", "/tmp/missing/", 999, -1]
calls = [(name, "r") for name in relative] + [(name, mode) for name in names for mode in ("r", "w", "x", "a", "r+", "rb")]
rows = []
for name, mode in calls:
    try:
        open(name, mode).close()
        rows.append({"mode": mode, "text": "opened", "parts": []})
    except FileNotFoundError as error:
        rows.append({"mode": mode, "text": f"missing: {error}", "parts": [error.errno == 2, error.strerror, list(error.args)]})
    except OSError as error:
        rows.append({"mode": mode, "text": f"{type(error).__name__}: {error}", "parts": [error.errno, error.strerror]})
    except ValueError as error:
        rows.append({"mode": mode, "text": f"{type(error).__name__}: {error}", "parts": []})
return rows

# === errors of paths
import random

os = random._os
folder = "/tmp/wasmexec-errors-of-paths"
def clear():
    for top, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.remove(f"{top}/{name}")
        os.rmdir(top)
clear()
os.makedirs(f"{folder}/full/inner")
os.mkdir(f"{folder}/empty")
for name in ("file", "other", "full/file"):
    with open(f"{folder}/{name}", "w") as file:
        file.write("text")
long = f"{folder}/" + "n" * 256
functions = [os.open, os.listdir, os.scandir, os.stat, os.lstat, os.mkdir, os.rmdir, os.remove, os.unlink, os.readlink,
             os.chdir, os.makedirs, os.removedirs, os.utime, os.truncate, os.path.getsize, os.path.getmtime, os.access, os.chmod]
more = {os.open: (os.O_WRONLY,), os.truncate: (3,), os.access: (os.R_OK,), os.chmod: (0o644,)}
paths = ["missing", "missing/deeper", "file", "file/", "file/deeper", "full", "full/", "empty/.", "full/inner/..", "full/inner/.", "empty/../file/", long[len(folder) + 1:]]
rows = []
for function in functions:
    for path in paths:
        if function in (os.mkdir, os.makedirs, os.rmdir, os.remove, os.unlink, os.removedirs) and path in ("missing", "file"):
            continue
        try:
            found = function(f"{folder}/{path}", *more.get(function, ()))
            if function is os.open:
                os.close(found)
            outcome, parts = "worked", []
        except OSError as error:
            outcome, parts = f"{type(error).__name__}: {error}", [error.errno, error.strerror, error.filename, error.filename2]
        rows.append({"call": f"{function.__name__} {path[:20]}", "outcome": outcome, "parts": parts})
os.chdir("/")
pairs = [("missing", "new"), ("file", "full"), ("full", "file"), ("full", "full/inner/deeper"), ("empty", "full"), ("file", "file/x"),
         ("file", "missing/x"), ("file", "n" * 256), ("full/inner", "full"), ("file", "file")]
for function in [os.rename, os.replace]:
    for one, two in pairs:
        try:
            function(f"{folder}/{one}", f"{folder}/{two}")
            outcome, parts = "worked", []
        except OSError as error:
            outcome, parts = f"{type(error).__name__}: {error}", [error.errno, error.strerror, error.filename, error.filename2]
        rows.append({"call": f"{function.__name__} {one} {two[:20]}", "outcome": outcome, "parts": parts})
clear()
return rows

# === errors of descriptors and file objects
import io
import random

os = random._os
name = "/tmp/wasmexec-errors-of-descriptors"
with open(name, "w") as file:
    file.write("text")
closed = os.open(name, os.O_RDONLY)
os.close(closed)
readable, writable = os.open(name, os.O_RDONLY), os.open(name, os.O_WRONLY)
folder = os.open("/tmp", os.O_RDONLY)
gone = open(name)
gone.close()
text, raw, appended = open(name), open(name, "rb", buffering=0), open(name, "ab")
calls = {
    "read -1": lambda: os.read(-1, 1), "read 400": lambda: os.read(400, 1), "read closed": lambda: os.read(closed + 100, 1),
    "read writable": lambda: os.read(writable, 1), "write readable": lambda: os.write(readable, b"x"),
    "read folder": lambda: os.read(folder, 1), "write -1": lambda: os.write(-1, b"x"), "close 400": lambda: os.close(400),
    "seek -1": lambda: os.lseek(readable, -1, 0), "seek whence": lambda: os.lseek(readable, 0, 99),
    "seek 400": lambda: os.lseek(400, 0, 0), "fstat 400": lambda: os.fstat(400), "truncate readable": lambda: os.ftruncate(readable, 1),
    "truncate -1": lambda: os.ftruncate(writable, -1), "fsync 400": lambda: os.fsync(400), "fdopen 400": lambda: os.fdopen(400),
    "pread -1": lambda: os.pread(readable, 1, -1), "pread 400": lambda: os.pread(400, 1, 0),
    "isatty": lambda: os.isatty(400), "isatty file": lambda: os.isatty(readable),
    "closed read": lambda: gone.read(), "closed seek": lambda: gone.seek(0), "closed iteration": lambda: next(gone),
    "text write": lambda: text.write("x"), "raw write": lambda: raw.write(b"x"), "append read": lambda: appended.read(),
    "raw seek": lambda: raw.seek(-1), "text seek": lambda: text.seek(-1), "text relative": lambda: text.seek(1, 1),
    "raw truncate": lambda: raw.truncate(1), "append seek": lambda: appended.seek(-100, 2), "bytes seek": lambda: io.BytesIO().seek(-1),
    "fileio mode": lambda: io.FileIO(name, "q"), "fileio folder": lambda: io.FileIO("/tmp"), "fileio 400": lambda: io.FileIO(400),
    "string fileno": lambda: io.StringIO().fileno(), "detached": lambda: io.TextIOWrapper(io.BytesIO()).detach().fileno(),
}
rows = []
for call, function in calls.items():
    try:
        outcome, parts = f"worked: {function()}", []
    except OSError as error:
        outcome, parts = f"{type(error).__name__}: {error}", [error.errno, error.strerror, error.filename, list(error.args)]
    except Exception as error:
        outcome, parts = f"{type(error).__name__}: {error}", []
    rows.append({"call": call, "outcome": outcome, "parts": parts})
for number in (readable, writable, folder):
    os.close(number)
for file in (text, raw, appended):
    file.close()
os.remove(name)
return rows

# === errors of libraries that open files
import json
import ssl
import random
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml

warnings.simplefilter("ignore")
load = warnings.sys.modules["importlib"].import_module
pathlib, shutil, zipfile, tarfile, gzip = map(load, ("pathlib", "shutil", "zipfile", "tarfile", "gzip"))
image = load("PIL.Image")
context = ssl.create_default_context()
frame = pd.DataFrame({"a": [1]})
calls = {
    "read_csv": lambda: pd.read_csv("sales.csv"), "read_json": lambda: pd.read_json("sales.json"),
    "read_table": lambda: pd.read_table("sales.txt"), "read_fwf": lambda: pd.read_fwf("sales.txt"),
    "read_pickle": lambda: pd.read_pickle("sales.pkl"), "read_stata": lambda: pd.read_stata("sales.dta"),
    "to_csv": lambda: frame.to_csv("/tmp/missing/sales.csv"), "to_json": lambda: frame.to_json("/tmp/missing/sales.json"),
    "to_pickle": lambda: frame.to_pickle("/tmp/missing/sales.pkl"), "read_folder": lambda: pd.read_csv("/tmp"),
    "loadtxt": lambda: np.loadtxt("sales.txt"), "genfromtxt": lambda: np.genfromtxt("sales.txt"),
    "load": lambda: np.load("sales.npy"), "fromfile": lambda: np.fromfile("sales.bin"), "tofile": lambda: np.zeros(2).tofile("/tmp/missing/x"),
    "save": lambda: np.save("/tmp/missing/x", np.zeros(2)), "memmap": lambda: np.memmap("sales.bin"),
    "read_text": lambda: pathlib.Path("sales.txt").read_text(), "write_text": lambda: pathlib.Path("/tmp").write_text("x"),
    "iterdir": lambda: list(pathlib.Path("sales").iterdir()), "stat": lambda: pathlib.Path("sales").stat(),
    "image": lambda: image.open("sales.png"), "imread": lambda: plt.imread("sales.png"),
    "savefig": lambda: plt.figure().savefig("/tmp/missing/plot.png"), "image save": lambda: image.new("L", (1, 1)).save("/tmp/missing/x.png"),
    "zip": lambda: zipfile.ZipFile("sales.zip"), "tar": lambda: tarfile.open("sales.tar"), "gzip": lambda: gzip.open("sales.gz"),
    "copy": lambda: shutil.copy("sales.csv", "/tmp"), "move": lambda: shutil.move("sales.csv", "/tmp/x"), "rmtree": lambda: shutil.rmtree("sales"),
    "same": lambda: shutil.copy("/dev/null", "/dev/null"),
    "verify": lambda: context.load_verify_locations("sales.pem"), "chain": lambda: context.load_cert_chain("sales.pem"),
    "yaml": lambda: yaml.safe_load(open("sales.yaml")), "json": lambda: json.load(open("sales.json")),
}
rows = []
for call, function in calls.items():
    try:
        outcome, parts = f"worked: {function()}", []
    except OSError as error:
        outcome, parts = f"{type(error).__name__}: {error}", [error.errno, error.strerror, str(error.filename), str(error.filename2)]
    except Exception as error:
        outcome, parts = f"{type(error).__name__}: {error}", []
    rows.append({"call": call, "outcome": outcome, "parts": parts})
plt.close("all")
return rows
