"""OrderedSet keeps order and index."""

from ordered_set import OrderedSet

letters = OrderedSet("abracadabra")
assert list(letters) == ["a", "b", "r", "c", "d"]
assert letters.index("c") == 3
assert letters & set("rad") == OrderedSet(["a", "r", "d"])
