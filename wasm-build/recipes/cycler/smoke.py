"""cycler multiplies and adds properties."""

from cycler import cycler

pairs = list(cycler(color=["r", "g"]) * cycler(lw=[1, 2]))
assert pairs == [{"color": "r", "lw": 1}, {"color": "r", "lw": 2}, {"color": "g", "lw": 1}, {"color": "g", "lw": 2}]
assert (cycler(c="rg") + cycler(m="ox")).by_key() == {"c": ["r", "g"], "m": ["o", "x"]}
