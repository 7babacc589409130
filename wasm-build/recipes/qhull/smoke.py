"""qhull finds the Delaunay triangles of a square and its middle, and refuses points on a line."""

from matplotlib.tri import Triangulation

found = Triangulation([0, 1, 1, 0, 0.5], [0, 0, 1, 1, 0.5])
assert found.triangles.dtype == "int32"
assert sorted(sorted(map(int, triangle)) for triangle in found.triangles) == [
    [0, 1, 4],
    [0, 3, 4],
    [1, 2, 4],
    [2, 3, 4],
]
assert found.neighbors.shape == (4, 3)
try:
    Triangulation([0, 1, 2], [0, 1, 2])
except RuntimeError as error:
    assert "Delaunay triangulation" in str(error), error
else:
    raise AssertionError("three points on a line made a triangle")
