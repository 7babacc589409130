"""pybind11's arrays: the dtypes are those that numpy has for their widths, and C++ exceptions arrive as Python's."""

import contourpy
import numpy as np
from matplotlib.tri import Triangulation

generator = contourpy.contour_generator(z=np.eye(3), line_type="ChunkCombinedOffset")
points, offsets = (chunk[0] for chunk in generator.lines(0.5))
assert points.dtype == np.float64
assert offsets.dtype == np.uint32
assert offsets.dtype.itemsize == 4
assert offsets.tolist()[0] == 0
assert offsets.tolist()[-1] == len(points)
for integers in ("i4", "i8", "u1"):
    triangles = Triangulation([0, 1, 1, 0], [0, 0, 1, 1], np.array([[0, 1, 2], [0, 2, 3]], integers))
    assert triangles.get_cpp_triangulation().get_edges().tolist() == [[1, 0], [2, 0], [2, 1], [3, 0], [3, 2]]
try:
    generator.filled(1.0, 0.0)
except ValueError as error:
    assert "upper" in str(error), error
else:
    raise AssertionError("levels in the wrong order were accepted")
