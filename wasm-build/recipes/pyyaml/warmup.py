"""Runs in the guest before the snapshot: YAML is read and written often enough for CPython to specialise the code."""

import contextlib

import yaml

TEXT = """
name: café
items: [1, 2.5, true, null, 2024-01-02, "x"]
nested: {a: &a {x: 1}, b: *a}
list:
  - key: value
    text: |
      line
  - other: 'quoted'
"""

for _ in range(12):
    value = yaml.safe_load(TEXT)
    yaml.load(TEXT, yaml.CSafeLoader)
    yaml.load(TEXT, yaml.FullLoader)
    yaml.safe_dump(value)
    yaml.dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False)
    yaml.dump(value, Dumper=yaml.CSafeDumper)
    list(yaml.safe_load_all("--- 1\n--- 2\n"))
    with contextlib.suppress(yaml.YAMLError):
        yaml.safe_load("a: [1")
