"""pyasn1 encodes and decodes DER."""

from pyasn1.codec.der import decoder, encoder
from pyasn1.type import namedtype, univ


class Pair(univ.Sequence):
    """Two numbers."""

    componentType = namedtype.NamedTypes(
        namedtype.NamedType("first", univ.Integer()), namedtype.NamedType("second", univ.Integer())
    )


pair = Pair()
pair["first"], pair["second"] = 1, 300
wire = encoder.encode(pair)
assert wire.hex() == "30070201010202012c"
decoded, rest = decoder.decode(wire, asn1Spec=Pair())
assert (int(decoded["second"]), rest) == (300, b"")
