"""attrs makes classes, under both of its names."""

import attr
import attrs


@attrs.define(frozen=True)
class Point:
    x: int = attrs.field(validator=attrs.validators.instance_of(int))
    y: int = 0


@attr.s(auto_attribs=True)
class Old:
    a: int = attr.Factory(int)


assert attrs.asdict(Point(1)) == {"x": 1, "y": 0}
assert attrs.evolve(Point(1), y=2) == Point(1, 2)
assert repr(Old()) == "Old(a=0)"
message = ""
try:
    Point("1")
except TypeError as error:
    message = error.args[0]
assert "'x' must be <class 'int'>" in message
