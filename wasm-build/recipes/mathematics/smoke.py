"""Mathematics in the guest: arguments where musl ends on another last digit than glibc, and the errors of bad ones."""

import math

GLIBC = (
    ("sin", 0.48, 0.4617791755414829),
    ("cos", 0.24, 0.9713379748520297),
    ("tan", 0.36, 0.37640285164202697),
    ("asin", 0.13198, 0.1323661886215405),
    ("acos", 0.00511, 1.56568630455583),
    ("atan", 0.23, 0.22606838799388393),
    ("sinh", 3.69, 20.00993747762222),
    ("cosh", 0.4, 1.081072371838455),
    ("tanh", 0.29, 0.28213481266963414),
    ("expm1", 0.92, 1.5092903899362977),
    ("log10", 0.17, -0.7695510786217261),
    ("erf", 0.01, 0.011283415555849616),
    ("erfc", 0.84, 0.23485728854500548),
)
for name, argument, result in GLIBC:
    assert getattr(math, name)(argument) == result, name

for name, argument, error in (("sin", math.inf, ValueError), ("acos", 1.5, ValueError), ("cosh", 1e3, OverflowError)):
    try:
        getattr(math, name)(argument)
    except error:
        pass
    else:
        raise AssertionError(f"{name}({argument}) was accepted")
