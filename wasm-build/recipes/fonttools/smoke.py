"""fontTools reads a bundled font, cuts it down to a few glyphs, and what it writes can be read again."""

import io

import matplotlib
from fontTools import subset
from fontTools.ttLib import TTFont

font = TTFont(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf")
before = len(font.getGlyphOrder())
cut = subset.Subsetter(subset.Options(glyph_names=True, drop_tables=["FFTM"]))
cut.populate(text="wasm")
cut.subset(font)
stream = io.BytesIO()
font.save(stream)
stream.seek(0)
after = TTFont(stream)
assert before > 5000
assert after.getGlyphOrder() == [".notdef", "a", "m", "s", "w"]
assert after.getBestCmap() == {ord(letter): letter for letter in "wasm"}
