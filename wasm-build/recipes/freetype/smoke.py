"""freetype, through both modules that use it: versions, metrics, a drawn word, and the error of a bad file."""

import io

import matplotlib
from matplotlib import ft2font
from PIL import Image, ImageDraw, ImageFont, features

path = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
assert ft2font.__freetype_version__ == features.version("freetype2") == "2.12.1"
font = ft2font.FT2Font(path)
font.set_size(12, 72)
font.set_text("Wasm", 0)
width, height = font.get_width_height()
assert 30 * 64 < width < 40 * 64, width
assert 8 * 64 < height < 12 * 64, height
font.draw_glyphs_to_bitmap()
assert font.get_image().max() == 255

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
