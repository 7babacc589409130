"""contourpy: all four algorithms find the same lines and areas, with a mask too."""

import contourpy
import numpy as np

x = np.linspace(-1, 1, 40)
z = x[None, :] ** 2 + x[:, None] ** 2
for name in ("mpl2005", "mpl2014", "serial", "threaded"):
    generator = contourpy.contour_generator(x, x, z, name=name)
    lines = generator.lines(0.25)
    points = lines[0][0] if isinstance(lines, tuple) else lines[0]
    assert np.allclose(np.hypot(*points.T), 0.5, atol=2e-3), name
    assert len(generator.filled(0.25, 0.5)[0]) == 1, name
assert contourpy.max_threads() == 1
chunked = contourpy.contour_generator(x, x, z, name="threaded", chunk_count=(3, 3), thread_count=4)
assert chunked.chunk_count == (3, 3)
assert chunked.thread_count == 1
assert sum(map(len, chunked.lines(0.25))) >= 4
masked = contourpy.contour_generator(x, x, np.ma.masked_greater(z, 0.2), name="serial")
assert masked.lines(0.25) == []
