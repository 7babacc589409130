"""A frozen list can be changed until it is frozen."""

from frozenlist import FrozenList

values = FrozenList([1, 2])
values.append(3)
values.freeze()
message = ""
try:
    values.append(4)
except RuntimeError as error:
    message = str(error)
assert message == "Cannot modify frozen list."
assert list(values) == [1, 2, 3]
assert hash(values) == hash((1, 2, 3))
