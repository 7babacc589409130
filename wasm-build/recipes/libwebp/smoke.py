"""WebP in the guest: pictures survive it, with transparency, in motion and with metadata; damage is refused."""

import io

from PIL import Image, ImageChops, features

assert features.check("webp")
assert features.check("webp_mux")
assert features.check("webp_anim")
assert features.version("webp") == "1.2.4"


def again(picture, **options):
    stream = io.BytesIO()
    picture.save(stream, "WEBP", **options)
    return Image.open(io.BytesIO(stream.getvalue()))


picture = Image.linear_gradient("L").convert("RGB")
assert again(picture, lossless=True).convert("RGB").tobytes() == picture.tobytes()
lossy = again(picture, quality=90).convert("RGB")
assert max(high for low, high in ImageChops.difference(picture, lossy).getextrema()) < 12
clear = picture.copy()
clear.putalpha(Image.radial_gradient("L"))
assert again(clear, lossless=True, exact=True).tobytes() == clear.tobytes()
assert again(clear, quality=80).mode == "RGBA"
frames = [Image.new("RGB", (32, 32), (shade, 0, 0)) for shade in (0, 100, 200)]
moving = again(frames[0], save_all=True, append_images=frames[1:], duration=50, lossless=True, loop=2)
assert (moving.n_frames, moving.info["loop"]) == (3, 2)
moving.seek(2)
assert moving.convert("RGB").getpixel((0, 0)) == (200, 0, 0)
assert again(picture, xmp=b"<x/>", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0").info["xmp"] == b"<x/>"
for options in ({"method": 0}, {"method": 6}, {"quality": 0}, {"lossless": True, "quality": 100}):
    assert again(picture, **options).size == (256, 256)
stream = io.BytesIO()
picture.save(stream, "WEBP")
for damaged in (stream.getvalue()[: len(stream.getvalue()) // 2], b"RIFF\0\0\0\0WEBPVP8L" + b"\xff" * 100):
    try:
        Image.open(io.BytesIO(damaged)).load()
    except OSError:
        pass
    else:
        raise AssertionError("a damaged picture was read")
