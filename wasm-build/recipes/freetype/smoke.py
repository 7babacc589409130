"""freetype, through Pillow: its version, a drawn word, and the error of a bad file."""

import io

import matplotlib
from PIL import Image, ImageDraw, ImageFont, features

path = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
assert features.version("freetype2") == "2.12.1"
image = Image.new("L", (80, 24))
ImageDraw.Draw(image).text((2, 2), "Wasm", fill=255, font=ImageFont.truetype(path, 16))
box = image.getbbox()
assert box is not None
assert 40 < box[2] - box[0] < 60, box
try:
    ImageFont.truetype(io.BytesIO(b"not a font" * 100), 16)
except OSError as error:
    assert "unknown file format" in str(error), error
else:
    raise AssertionError("something that is no font was opened")
