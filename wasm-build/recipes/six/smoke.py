"""six finds the modules that it renames."""

import six
from six.moves import urllib, zip_longest

assert six.PY3
assert urllib.parse.quote("a b") == "a%20b"
assert list(zip_longest([1, 2], [3])) == [(1, 3), (2, None)]
assert six.ensure_binary("ä") == b"\xc3\xa4"
