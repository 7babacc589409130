"""matplotlib: Agg, SVG, PDF and PostScript; text, formulas, dates, images, contours, triangles."""

import datetime
import io

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

assert matplotlib.get_backend().lower() == "agg"


def pixels(**options):
    stream = io.BytesIO()
    plt.savefig(stream, format="png", **options)
    return np.asarray(Image.open(stream))


plt.figure()
plt.plot([1, 2, 3], color="red")
drawn = pixels()
assert drawn.shape == (480, 640, 4)
assert (drawn == [255, 0, 0, 255]).all(axis=2).sum() > 300
plt.gca().set_axis_off()
plt.gca().lines[0].remove()
empty = pixels()
assert (empty == 255).all()
plt.figtext(0.5, 0.5, "text")
assert (pixels() != 255).any()
plt.close()

figure, axes = plt.subplots(2, 3, layout="constrained")
axes[0, 0].plot([datetime.date(2024, 1, 1) + datetime.timedelta(days=n) for n in range(90)], range(90))
axes[0, 1].imshow(np.arange(12).reshape(3, 4), cmap="viridis")
axes[0, 2].contourf(np.add.outer(np.arange(9) ** 2, np.arange(9) ** 2))
axes[1, 0].tricontourf([0, 1, 1, 0], [0, 0, 1, 1], [0, 1, 2, 3])
axes[1, 1].semilogy([1, 10, 1000], label=r"$\frac{\alpha}{\sqrt{2}}$")
axes[1, 1].legend()
axes[1, 2].bar(["a", "b"], [1, 2], hatch="/")
assert len(set(map(tuple, pixels().reshape(-1, 4)))) > 200
for kind, start in (("svg", b"<?xml"), ("pdf", b"%PDF-1.4"), ("jpg", b"\xff\xd8"), ("ps", b"%!PS")):
    stream = io.BytesIO()
    figure.savefig(stream, format=kind)
    assert stream.getvalue().startswith(start), kind
    assert len(stream.getvalue()) > 10_000, kind
plt.close("all")
