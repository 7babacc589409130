"""JPEG in the guest: a picture survives it nearly, progressive or not, and a cut one is refused."""

import io

from PIL import Image, ImageChops, features

assert features.version("libjpeg_turbo") == "2.1.5"
picture = Image.linear_gradient("L").convert("RGB")
for options in ({}, {"progressive": True}, {"quality": 95, "subsampling": 0}):
    stream = io.BytesIO()
    picture.save(stream, "JPEG", **options)
    again = Image.open(io.BytesIO(stream.getvalue()))
    assert again.size == (256, 256)
    difference = ImageChops.difference(picture, again.convert("RGB"))
    assert max(high for low, high in difference.getextrema()) < 8, options
try:
    Image.open(io.BytesIO(stream.getvalue()[: len(stream.getvalue()) // 2])).load()
except OSError as error:
    assert "truncated" in str(error), error
else:
    raise AssertionError("half a picture was read")
