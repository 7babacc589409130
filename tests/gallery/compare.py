"""Run by the native interpreter: how far the PNG files of two folders lie apart, and a picture of each difference.

python compare.py GUEST NATIVE DIFFERENCE    the last folder is written; standard output: JSON by file name
"""

import json
import sys
from pathlib import Path

import numpy as np  # type: ignore[import-not-found]
from PIL import Image  # type: ignore[import-not-found]


def compare(guest_file: Path, native_file: Path, difference_file: Path) -> dict[str, object]:
    """Size in pixels, root mean square (0 to 255) over all channels, and share of pixels that differ visibly."""
    with Image.open(guest_file) as guest, Image.open(native_file) as native:
        one, other = (np.asarray(image.convert("RGB"), dtype=float) for image in (guest, native))
    if one.shape != other.shape:
        return {"size": list(one.shape), "native_size": list(other.shape)}
    apart = np.abs(one - other)
    Image.fromarray((255 - np.minimum(apart * 4, 255)).astype("u1")).save(difference_file)
    return {
        "size": list(one.shape),
        "native_size": list(other.shape),
        "rms": float(np.sqrt((apart**2).mean())),
        "changed": float((apart.max(axis=2) > 32).mean()),
        "drawn": float((one.min(axis=2) < 250).mean()),
    }


if __name__ == "__main__":
    guest_folder, native_folder, difference_folder = map(Path, sys.argv[1:])
    files = sorted(guest_folder.glob("*.png"))
    found = {f.stem: compare(f, native_folder / f.name, difference_folder / f.name) for f in files}
    json.dump(found, sys.stdout)
