"""multidict keeps several values of a key, and names of headers in any case."""

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, istr

values = MultiDict([("a", 1), ("b", 2), ("a", 3)])
assert values.getall("a") == [1, 3]
assert list(values.items()) == [("a", 1), ("b", 2), ("a", 3)]
headers = CIMultiDict({"Content-Type": "text/plain"})
assert headers["content-TYPE"] == "text/plain"
assert istr("Key") in CIMultiDictProxy(CIMultiDict(KEY=1))
