"""The standard library's C modules, ctypes as far as it goes, time zones with their data, libyaml and a YAML bomb."""

import json

from tests import reference

import wasmexec
from wasmexec import Limits, Status

# `sys` is not listed; the gate binds names, not objects.
SYS = "import warnings\nsys = warnings.sys\nload = sys.modules['builtins'].__import__\n"

# Each level repeats the one before it forty times: text of 3 kB, a value of 10**15 characters.
BOMB = """
import yaml
text = "a: &a [" + "x," * 1000 + "]\\n"
for name, before in zip("bcdefghi", "abcdefgh"):
    text += f"{name}: &{name} [" + f"*{before}," * 40 + "]\\n"
value = yaml.load(text, yaml.LOADER)
log.info(f"loaded {len(value)}")
return [{"text": repr(value["i"])}]
"""


def test_a_yaml_bomb_ends_with_the_memory_limit_and_the_next_run_is_fine(executor: wasmexec.Executor) -> None:
    limits = Limits(memory_bytes=300 << 20)
    for loader in ("CSafeLoader", "SafeLoader"):
        bomb = executor.run(BOMB.replace("LOADER", loader), limits=limits)
        # Aliases share one object, so reading the bomb costs nothing: it goes off where its value is written out.
        assert [record.message for record in bomb.logs] == ["loaded 9"]
        assert bomb.status == Status.RUNTIME_FAILED
        assert isinstance(bomb.error, wasmexec.MemoryLimitError)
        assert bomb.error.message == "out of memory at line 8 (limit 314,572,800 bytes)"
        small = executor.run("import yaml\nreturn [yaml.safe_load('{a: 1}')]", limits=limits)
        assert (small.status, small.rows) == (Status.FINISHED, [{"a": 1}])


def test_a_yaml_bomb_as_rows_ends_at_the_output_limit(executor: wasmexec.Executor) -> None:
    statement = BOMB.replace("LOADER", "CSafeLoader").replace('[{"text": repr(value["i"])}]', "[value]")
    result = executor.run(statement, limits=Limits(memory_bytes=300 << 20, output_bytes=1 << 20))
    assert (result.status, result.rows) == (Status.OUTPUT_REFUSED, [])
    assert result.usage.peak_memory_bytes <= 300 << 20


def test_yaml_too_large_for_memory_is_a_memory_error_of_libyaml_too(executor: wasmexec.Executor) -> None:
    statement = 'import yaml\nreturn [yaml.load("[" + "[]," * 40_000_000 + "]", yaml.CSafeLoader)]'
    result = executor.run(statement, limits=Limits(memory_bytes=300 << 20))
    assert isinstance(result.error, wasmexec.MemoryLimitError)
    assert result.error.line == 2


def test_yaml_has_libyaml_behind_its_c_classes(executor: wasmexec.Executor) -> None:
    statement = """
import yaml
value = {"a": [1, 2.5, None], "b": "café"}
text = yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True)
return [{"libyaml": yaml.__with_libyaml__, "same": yaml.load(text, yaml.CLoader) == value, "text": text}]
"""
    text = "a:\n- 1\n- 2.5\n- null\nb: café\n"
    assert executor.run(statement).rows == [{"libyaml": True, "same": True, "text": text}]


def test_zones_have_their_data(executor: wasmexec.Executor) -> None:
    statement = f"""{SYS}
from datetime import datetime, timezone
import pandas as pd
zoneinfo = load("zoneinfo")
berlin = zoneinfo.ZoneInfo("Europe/Berlin")
summer = datetime(2024, 7, 1, 12, tzinfo=berlin)
return [{{
    "summer": summer, "utc": summer.astimezone(timezone.utc),
    "winter": datetime(2024, 1, 1, tzinfo=berlin).utcoffset().seconds,
    "zones": len(zoneinfo.available_timezones()) > 590, "in_c": zoneinfo.ZoneInfo is load("_zoneinfo").ZoneInfo,
    "pandas": pd.Timestamp("2024-07-01", tz=berlin),
}}]
"""
    assert executor.run(statement).rows == [
        {
            "summer": "2024-07-01T12:00:00+02:00",
            "utc": "2024-07-01T10:00:00+00:00",
            "winter": 3600,
            "zones": True,
            "in_c": True,
            "pandas": "2024-07-01T00:00:00+02:00",
        }
    ]


def test_an_unknown_zone_is_named(executor: wasmexec.Executor) -> None:
    result = executor.run(f"{SYS}return [load('zoneinfo').ZoneInfo('Europe/Berlim')]")
    assert isinstance(result.error, wasmexec.StatementRaised)
    assert result.error.type_name == "zoneinfo._common.ZoneInfoNotFoundError"
    assert "No time zone found with key Europe/Berlim" in str(result.error)


# What native CPython 3.11 has as C modules and the guest has not, by reason.
NOT_IN_GUEST = {
    # other processes, users, terminals, screens and memory shared with others: a guest has none of them
    "_curses", "_curses_panel", "_multiprocessing", "_posixshmem", "_posixsubprocess", "_tkinter", "fcntl", "grp",
    "nis", "ossaudiodev", "pwd", "readline", "resource", "spwd", "syslog", "termios",
    # calls by a signature known at run time only: a shim that says so
    "_ctypes",
    # databases: no statement can import them, and there is no disk to keep one on
    "_dbm", "_gdbm", "_sqlite3",
    # libuuid's daemon; uuid.uuid1() uses Python's own way
    "_uuid",
    # CPython's tests of itself, and second interpreters
    "_ctypes_test", "_testbuffer", "_testcapi", "_testclinic", "_testimportmultiple", "_testinternalcapi",
    "_testmultiphase", "_xxsubinterpreters", "_xxtestfuzz", "xxlimited", "xxlimited_35",
}  # fmt: skip


def test_every_c_module_of_native_cpython_is_there_or_left_out_for_a_reason(executor: wasmexec.Executor) -> None:
    ask = (
        "import json, sys, sysconfig, pathlib\n"
        "files = pathlib.Path(sysconfig.get_config_var('DESTSHARED')).glob('*.so')\n"
        "names = {file.name.partition('.')[0] for file in files}\n"
        "print(json.dumps(sorted(names | set(sys.builtin_module_names))))"
    )
    done = reference.run("-I", "-c", ask)
    modules = set(json.loads(done.stdout))
    statement = f"{SYS}found = [{{'name': name}} for name in sys.builtin_module_names if '.' not in name]\n"
    statement += "for row in found: load(row['name'])\nreturn found"
    result = executor.run(statement)
    assert result.error is None
    guest = {row["name"] for row in result.rows}
    assert len(modules) > 90
    assert modules - guest - NOT_IN_GUEST == set()
    assert guest & NOT_IN_GUEST == set()


def test_ctypes_holds_numbers_and_calls_nothing(executor: wasmexec.Executor) -> None:
    statement = f"""{SYS}
import numpy as np
ctypes = load("ctypes")
array = np.arange(6, dtype="i4").reshape(2, 3)
refused = []
for what in (lambda: ctypes.c_char_p(b"x"), lambda: ctypes.pointer(ctypes.c_int(1)), lambda: ctypes.CDLL("libc.so.6"),
             lambda: array.ctypes.data_as(ctypes.c_void_p), lambda: ctypes.c_int.from_buffer(bytearray(4))):
    try:
        what()
    except (NotImplementedError, OSError) as error:
        refused.append(type(error).__name__)
own = array.ctypes
class Mixed(ctypes.BigEndianStructure):
    _fields_ = [("a", ctypes.c_uint8), ("b", ctypes.c_uint16), ("c", ctypes.c_double)]
return [{{
    "dtype": str(np.dtype(Mixed)), "size": [ctypes.sizeof(Mixed), ctypes.alignment(Mixed)],
    "cut": [ctypes.c_uint8(300).value, ctypes.c_int8(200).value, ctypes.c_int64(-1).value, ctypes.c_float(0.1).value],
    "array": [own.data == array.__array_interface__["data"][0], own.shape[:], own.strides[:]],
    "refused": refused,
}}]
"""
    refused = ["NotImplementedError", "NotImplementedError", "OSError", "NotImplementedError", "NotImplementedError"]
    cut = [44, -56, -1, 0.10000000149011612]
    result = executor.run(statement)
    assert result.error is None
    row = result.rows[0]
    assert row.pop("dtype").startswith(
        "{'names': ['a', 'b', 'c'], 'formats': ['u1', '>u2', '>f8'], 'offsets': [0, 2, 8]"
    )
    assert row == {"size": [16, 8], "cut": cut, "array": [True, [2, 3], [12, 4]], "refused": refused}


NUMBER_TYPES = (
    "c_bool", "c_byte", "c_char", "c_double", "c_float", "c_int", "c_int16", "c_int32", "c_int64", "c_int8", "c_long",
    "c_longdouble", "c_longlong", "c_short", "c_ubyte", "c_uint", "c_uint16", "c_uint32", "c_uint64", "c_uint8",
    "c_ulong", "c_ulonglong", "c_ushort", "c_size_t", "c_ssize_t", "c_void_p", "py_object",
)  # fmt: skip
TABLE_OF_TYPES = f"""
import numpy as np
def table(ctypes):
    kinds = {{name: getattr(ctypes, name) for name in {NUMBER_TYPES}}}
    class Packed(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("a", ctypes.c_uint8), ("b", ctypes.c_uint32), ("c", ctypes.c_long)]
    sizes = {{
        name: [kind.__name__, kind._type_, str(np.dtype(kind)), ctypes.alignment(kind)] for name, kind in kinds.items()
    }}
    wide = [kind(1 << 40).value for kind in (ctypes.c_int, ctypes.c_long, ctypes.c_uint64)]
    return {{"sizes": sizes, "packed": str(np.dtype(Packed)), "wide": wide}}
"""


def test_ctypes_numbers_have_the_names_codes_and_sizes_of_64_bit_linux(executor: wasmexec.Executor) -> None:
    asked = f"import ctypes, json\n{TABLE_OF_TYPES}\nprint(json.dumps(table(ctypes)))"
    done = reference.run("-I", "-c", asked)
    numbers = json.loads(done.stdout)
    del numbers["sizes"]["py_object"][3]
    statement = f"""{SYS}{TABLE_OF_TYPES}
ctypes = load("ctypes")
row = table(ctypes)
del row["sizes"]["py_object"][3]
return [row]
"""
    result = executor.run(statement)
    assert result.error is None
    assert result.rows == [numbers]
    assert numbers["wide"] == [0, 1 << 40, 1 << 40]


def test_addresses_convert_without_a_socket(executor: wasmexec.Executor) -> None:
    statement = f"""{SYS}
socket = load("socket")
packed = socket.inet_aton("192.0.2.7")
errors = []
for wrong in (b"123", b"12345"):
    try:
        socket.inet_ntoa(wrong)
    except OSError as error:
        errors.append(str(error))
return [{{"packed": list(packed), "text": socket.inet_ntoa(packed), "errors": errors}}]
"""
    errors = ["packed IP wrong length"] * 2
    assert executor.run(statement).rows == [{"packed": [192, 0, 2, 7], "text": "192.0.2.7", "errors": errors}]
