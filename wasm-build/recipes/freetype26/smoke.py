"""freetype 2.6: matplotlib's fonts have the metrics that its wheels give them, to a sixty-fourth of a pixel."""

import matplotlib
from matplotlib import ft2font

path = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
assert ft2font.__freetype_version__ == "2.6.3"
font = ft2font.FT2Font(path, hinting_factor=8)
font.set_size(8, 100)
glyph = font.load_char(33, ft2font.LOAD_NO_HINTING)
assert (glyph.height, glyph.linearHoriAdvance) == (513, 292276), (glyph.height, glyph.linearHoriAdvance)
font.set_text("Wasm", 0)
font.draw_glyphs_to_bitmap()
assert font.get_image().max() == 255
