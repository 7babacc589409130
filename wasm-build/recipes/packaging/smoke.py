"""packaging orders versions and evaluates specifiers and markers."""

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import Version

assert sorted(map(Version, ["1.10", "1.9", "1.10rc1"])) == [Version("1.9"), Version("1.10rc1"), Version("1.10")]
assert "3.8.2" in SpecifierSet(">=3.8,<4")
assert Marker("python_version >= '3.11'").evaluate()
