"""deepdiff finds, searches and hashes."""

from deepdiff import DeepDiff, DeepHash, DeepSearch, Delta, extract, grep

old = {"a": [1, 2, {"b": "x"}], "gone": 1, "same": (1, 2)}
new = {"a": [1, 3, {"b": "y"}], "same": (1, 2), "more": {1, 2}}
diff = DeepDiff(old, new)
assert sorted(diff) == ["dictionary_item_added", "dictionary_item_removed", "values_changed"]
assert diff["values_changed"]["root['a'][1]"] == {"new_value": 3, "old_value": 2}
assert DeepDiff([1, 2, 3], [3, 2, 1], ignore_order=True) == {}
assert DeepDiff(1.0001, 1.0002, significant_digits=3) == {}
assert extract(new, "root['a'][2]['b']") == "y"
assert old + Delta(diff) == new
assert DeepSearch(old, "x")["matched_values"] == {"root['a'][2]['b']"}
assert old | grep("gone") == {"matched_paths": {"root['gone']"}}
turned = dict(reversed(old.items()))
assert DeepHash(old)[old] == DeepHash(turned)[turned]
