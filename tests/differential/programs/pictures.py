# === PNG bytes, whichever filter a row gets
import base64
import io
import matplotlib
import numpy as np
import matplotlib.pyplot as plt
y, x = np.mgrid[0:40, 0:61]
pictures = {
    "noise": np.random.default_rng(0).integers(0, 256, (40, 61, 4)).astype("u1"),
    "across": np.stack([x * 4, x * 3, x * 2, 255 - x], -1).astype("u1"),
    "down": np.stack([y * 6, y * 5, y * 3, 255 - y], -1).astype("u1"),
    "both": np.stack([x * 2 + y * 3, (x * y) % 256, (x - y) % 256, np.full_like(x, 255)], -1).astype("u1"),
    "flat": np.full((40, 61, 4), 200, "u1"),
    "steps": np.stack([x // 16 * 60, y // 16 * 60, (x // 16 + y // 16) * 30, np.full_like(x, 255)], -1).astype("u1"),
}
rows = []
for name, array in pictures.items():
    buffer = io.BytesIO()
    plt.imsave(buffer, array, format="png")
    rows.append({"name": name, "png": base64.b64encode(buffer.getvalue()).decode()})
for mode in ("L", "LA", "RGB", "RGBA", "1"):
    picture = matplotlib.image.PIL.Image.fromarray(pictures["both"], "RGBA").convert(mode)
    for optimize in (False, True):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", optimize=optimize)
        rows.append({"name": mode, "optimize": optimize, "png": base64.b64encode(buffer.getvalue()).decode()})
return rows
