"""idna encodes and decodes international host names."""

import idna

assert idna.encode("bücher.example") == b"xn--bcher-kva.example"
assert idna.decode("xn--bcher-kva.example") == "bücher.example"
assert idna.encode("faß.example", uts46=True) == b"xn--fa-hia.example"
message = ""
try:
    idna.encode("a_b.example")
except idna.IDNAError as error:
    message = str(error)
assert "not allowed" in message
