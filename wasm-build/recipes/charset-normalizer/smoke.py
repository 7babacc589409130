"""charset-normalizer tells the encoding of text."""

from charset_normalizer import detect, from_bytes

TEXT = "Съешь же ещё этих мягких французских булок, да выпей чаю. В чащах юга жил бы цитрус?"
assert str(from_bytes(TEXT.encode("utf-8")).best()) == TEXT
assert str(from_bytes(TEXT.encode("cp1251"), cp_isolation=["cp1251", "latin-1"]).best()) == TEXT
assert detect("déjà vu, façon Noël".encode())["encoding"] == "utf-8"
