"""yarl parses, builds and quotes URLs."""

from yarl import URL

url = URL("https://user:pw@bücher.example:8443/a b?x=1&x=2#f")
assert (url.raw_host, url.port, url.raw_path) == ("xn--bcher-kva.example", 8443, "/a%20b")
assert url.query.getall("x") == ["1", "2"]
assert str(URL("https://h.example/a/") / "b" % {"q": "ä"}) == "https://h.example/a/b?q=%C3%A4"
assert URL("https://h.example/a/b").join(URL("../c")) == URL("https://h.example/c")
assert url.origin() == URL("https://bücher.example:8443")
