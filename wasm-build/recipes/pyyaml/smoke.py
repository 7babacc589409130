"""Runs in the guest: YAML is read and written by both implementations, and errors carry their place."""

import datetime
import io

import yaml

TEXT = """
name: café
items: [1, 2.5, true, null, 2024-01-02]
nested:
  - &a {x: 1}
  - *a
text: |
  line one
  line two
"""
VALUE = {
    "name": "café",
    "items": [1, 2.5, True, None, datetime.date(2024, 1, 2)],
    "nested": [{"x": 1}, {"x": 1}],
    "text": "line one\nline two\n",
}


def line_of_error(loader):
    try:
        yaml.load("a: [1, 2\nb: }", loader)
    except yaml.YAMLError as error:
        return error.problem_mark.line
    return None


assert yaml.__with_libyaml__
for loader in (yaml.SafeLoader, yaml.CSafeLoader, yaml.FullLoader, yaml.CFullLoader, yaml.UnsafeLoader, yaml.CLoader):
    assert yaml.load(TEXT, loader) == VALUE, loader
    assert line_of_error(loader) == 1, loader

for dumper in (yaml.SafeDumper, yaml.CSafeDumper, yaml.Dumper, yaml.CDumper):
    text = yaml.dump(VALUE, Dumper=dumper, sort_keys=False, allow_unicode=True)
    assert yaml.safe_load(text) == VALUE, dumper
    assert yaml.dump({"b": 1, "a": [2]}, Dumper=dumper) == "a:\n- 2\nb: 1\n", dumper

assert list(yaml.safe_load_all("--- 1\n--- 2\n")) == [1, 2]
assert yaml.safe_load(io.BytesIO(b"a: 1")) == {"a": 1}
assert list(yaml.load_all(io.StringIO("--- 1\n--- 2\n"), yaml.CSafeLoader)) == [1, 2]
assert [type(event).__name__ for event in yaml.parse("a", yaml.CLoader)][2] == "ScalarEvent"
assert yaml.serialize(yaml.compose("{a: 1}", yaml.CLoader), Dumper=yaml.CDumper) == "{a: 1}\n"
stream = io.StringIO()
yaml.dump_all([1, 2], stream, Dumper=yaml.CSafeDumper)
assert yaml.safe_load(stream.getvalue().split("---")[1]) == 2
try:
    yaml.safe_load("!!python/object/apply:os.system [ls]")
except yaml.constructor.ConstructorError:
    pass
else:
    raise AssertionError("safe_load made a Python object")
