"""Pillow: formats in and out, resizing, filters, drawing, arrays, quantising, and the error of what is not built in."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageMath, ImageMorph, ImageOps, features

array = (np.arange(64 * 48 * 3) % 251).astype("u1").reshape(48, 64, 3)
picture = Image.fromarray(array)
assert picture.size == (64, 48)
for kind in ("PNG", "BMP", "TIFF", "PPM", "TGA"):
    stream = io.BytesIO()
    picture.save(stream, kind)
    again = Image.open(io.BytesIO(stream.getvalue()))
    assert again.format == kind
    assert (np.asarray(again) == array).all(), kind
stream = io.BytesIO()
frames = [Image.new("L", (8, 8), shade) for shade in (0, 100, 200)]
frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
assert Image.open(stream).n_frames == 3
assert picture.resize((32, 24), Image.Resampling.LANCZOS).size == (32, 24)
assert picture.rotate(90, expand=True).size == (48, 64)
assert picture.convert("L").getpixel((1, 0)) == 4
assert len(picture.quantize(16).getcolors()) <= 16
assert len(picture.split()) == 3
assert ImageOps.autocontrast(picture).getextrema()[0] == (0, 255)
assert picture.filter(ImageFilter.GaussianBlur(2)).size == picture.size
assert ImageMath.eval("a + 1", a=Image.new("L", (1, 1), 4)).getpixel((0, 0)) == 5
assert ImageMorph.MorphOp(op_name="dilation4").apply(Image.new("L", (9, 9)))[0] == 0
ImageDraw.Draw(picture).rectangle((0, 0, 9, 9), fill="red")
assert picture.getpixel((5, 5)) == (255, 0, 0)
picture.im.getprojection()
picture.im.isblock()
assert features.check("zlib")
assert features.check("jpg")
assert features.check("webp")
assert not features.check("jpg_2000")
try:
    picture.save(io.BytesIO(), "JPEG2000")
except (KeyError, OSError) as error:
    assert "jpeg2k" in str(error), error
else:
    raise AssertionError("a format was written that is not built in")
