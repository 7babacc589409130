"""Figures in a statement: what is drawn, where it may go, what is said when it cannot, and that nothing is left."""

import base64
import struct

import pytest

import wasmexec

PNG = """
import io
import matplotlib.pyplot as plt
def png():
    buffer = io.BytesIO()
    plt.savefig(buffer, format="png")
    return buffer.getvalue()
"""


def rows_of(executor: wasmexec.Executor, statement: str) -> list[dict[str, object]]:
    result = executor.run(statement)
    result.raise_for_status()
    return result.rows


def warnings_of(result: wasmexec.Result) -> list[str]:
    return [record.message for record in result.logs if record.level == "warn"]


def test_a_figure_comes_out_as_base64_of_a_png(executor: wasmexec.Executor) -> None:
    (row,) = rows_of(executor, PNG + "plt.plot([1, 2, 3])\nreturn [{'plot': png()}]")
    data = base64.b64decode(str(row["plot"]), validate=True)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")
    assert struct.unpack(">II", data[16:24]) == (640, 480)
    columns = [{"name": "plot", "type": "base64"}]
    executor.run(PNG + "plt.plot([1, 2, 3])\nreturn [{'plot': png()}]", output_schema=columns).raise_for_status()


def test_lines_text_and_images_are_really_drawn(executor: wasmexec.Executor) -> None:
    statement = """
import matplotlib.pyplot as plt
import numpy as np
def dark(draw):
    figure = plt.figure()
    draw(figure)
    figure.canvas.draw()
    return int((np.asarray(figure.canvas.buffer_rgba())[..., :3].min(axis=2) < 128).sum())
return [{
    "nothing": dark(lambda figure: None),
    "text": dark(lambda figure: figure.text(0.1, 0.5, "Hello", fontsize=40)),
    "serif": dark(lambda figure: figure.text(0.1, 0.5, "Hello", fontsize=40, family="serif")),
    "formula": dark(lambda figure: figure.text(0.1, 0.5, r"$\\\\frac{1}{2}$", fontsize=40)),
    "line": dark(lambda figure: figure.subplots().axis("off") and figure.axes[0].plot([0, 1], "k")),
    "image": dark(lambda figure: figure.figimage(np.zeros((20, 30)), cmap="gray")),
}]
"""
    (row,) = rows_of(executor, statement.replace("\\\\", "\\"))
    assert row["nothing"] == 0
    assert row["image"] == 600
    for kind in ("text", "serif", "formula", "line"):
        count = row[kind]
        assert isinstance(count, int)
        assert count > 300, kind
    assert row["text"] != row["serif"]


def test_svg_and_pdf_and_jpeg_are_written(executor: wasmexec.Executor) -> None:
    statement = """
import io
import matplotlib.pyplot as plt
plt.rcParams["svg.fonttype"] = "none"
plt.plot([1, 2])
plt.title("A title & more")
rows = []
for kind in ("svg", "pdf", "jpeg", "eps"):
    buffer = io.BytesIO()
    plt.savefig(buffer, format=kind)
    data = buffer.getvalue()
    rows.append({"kind": kind, "start": data[:4].hex(), "title": b"A title &amp; more" in data})
return rows
"""
    assert rows_of(executor, statement) == [
        {"kind": "svg", "start": b"<?xm".hex(), "title": True},
        {"kind": "pdf", "start": b"%PDF".hex(), "title": False},
        {"kind": "jpeg", "start": "ffd8ffe0", "title": False},
        {"kind": "eps", "start": b"%!PS".hex(), "title": False},
    ]


def test_every_raster_format_is_written_and_read_back(executor: wasmexec.Executor) -> None:
    statement = """
import io
import matplotlib.pyplot as plt
import warnings
Image = warnings.sys.modules["PIL.Image"]
plt.plot([1, 2])
rows = []
for kind in ("png", "jpg", "tif", "tiff", "webp"):
    buffer = io.BytesIO()
    plt.savefig(buffer, format=kind, dpi=50)
    picture = Image.open(io.BytesIO(buffer.getvalue()))
    picture.load()
    rows.append({"kind": kind, "format": picture.format, "size": picture.size})
raw, zipped = io.BytesIO(), io.BytesIO()
plt.savefig(raw, format="raw", dpi=50)
plt.savefig(zipped, format="svgz")
return [*rows, {"kind": "raw", "format": str(len(raw.getvalue())), "size": []},
        {"kind": "svgz", "format": zipped.getvalue()[:2].hex(), "size": []}]
"""
    rows = rows_of(executor, statement)
    assert [(row["kind"], row["format"]) for row in rows] == [
        ("png", "PNG"), ("jpg", "JPEG"), ("tif", "TIFF"), ("tiff", "TIFF"), ("webp", "WEBP"), ("raw", "307200"),
        ("svgz", "1f8b"),
    ]  # fmt: skip
    assert all(row["size"] == [320, 240] for row in rows[:5])


@pytest.mark.parametrize(
    ("options", "largest"),
    [("lossless=True", 0), ("quality=90", 60), ("lossless=True, quality=0", 0), ("quality=90, method=0", 60)],
)
def test_webp_keeps_a_picture_and_its_transparency(executor: wasmexec.Executor, options: str, largest: int) -> None:
    statement = f"""
import io, warnings
import numpy as np
Image = warnings.sys.modules["PIL.Image"]
y, x = np.mgrid[:64, :96]
pixels = np.dstack([x * 2, y * 3, 255 - x, np.where(x < 48, 255, 128)]).astype("u1")
stream = io.BytesIO()
Image.fromarray(pixels).save(stream, "WEBP", exact=True, {options})
again = Image.open(io.BytesIO(stream.getvalue()))
apart = np.abs(np.asarray(again).astype(int) - pixels).max()
return [{{"mode": again.mode, "size": again.size, "apart": int(apart), "alpha": int(np.asarray(again)[0, 90, 3])}}]
"""
    (row,) = rows_of(executor, statement)
    assert (row["mode"], row["size"], row["alpha"]) == ("RGBA", [96, 64], 128)
    assert isinstance(row["apart"], int)
    assert row["apart"] <= largest


def test_webp_moves_and_a_damaged_one_is_refused(executor: wasmexec.Executor) -> None:
    statement = r"""
import io, warnings
import matplotlib.pyplot as plt
from matplotlib import animation
Image = warnings.sys.modules["PIL.Image"]
figure, axes = plt.subplots()
(line,) = axes.plot([0, 1])
moving = animation.FuncAnimation(figure, lambda n: (line.set_ydata([0, n]), [line])[1], frames=3)
rows = []
for name in ("a.gif", "a.webp", "a.png"):
    moving.save(f"/tmp/{name}", writer="pillow", dpi=40)
    rows.append({"name": name, "frames": Image.open(f"/tmp/{name}").n_frames})
with open("/tmp/a.webp", "rb") as file:
    data = file.read()
for damaged in (data[:len(data) // 2], data[:40] + b"\xff" * len(data[40:]), b"RIFF\0\0\0\0WEBPVP8L"):
    try:
        picture = Image.open(io.BytesIO(damaged))
        for number in range(3): picture.seek(number)
        picture.load()
    except (OSError, EOFError) as error:
        rows.append({"name": "damaged", "frames": 0})
return rows
"""
    assert [(row["name"], row["frames"]) for row in rows_of(executor, statement)] == [
        ("a.gif", 3), ("a.webp", 3), ("a.png", 3), ("damaged", 0), ("damaged", 0), ("damaged", 0),
    ]  # fmt: skip


def test_a_figure_can_be_saved_to_tmp_and_nowhere_else(executor: wasmexec.Executor) -> None:
    statement = """
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.savefig("/tmp/figure.png")
with open("/tmp/figure.png", "rb") as file:
    start = file.read(4)
try:
    plt.savefig("/lib/figure.png")
except OSError as error:
    return [{"start": start[1:].decode(), "pixels": plt.imread("/tmp/figure.png").shape, "error": error.strerror}]
"""
    expected = {"start": "PNG", "pixels": [480, 640, 4], "error": "Read-only file system"}
    assert rows_of(executor, statement) == [expected]


def test_pandas_draws_frames_and_series(executor: wasmexec.Executor) -> None:
    statement = """
import matplotlib.pyplot as plt
import pandas as pd
df = pd.DataFrame({"a": [1, 3, 2], "b": [2, 1, 4]}, index=pd.date_range("2024-01-01", periods=3))
axes = df.plot(title="frame")
plt.savefig("/tmp/a.png")
labels = [text.get_text() for text in axes.get_legend().get_texts()]
bars = len(df.plot.bar(stacked=True).patches)
counts = df["a"].plot.hist(bins=3, ax=plt.figure().subplots())
return [{"labels": labels, "bars": bars, "limits": list(axes.get_ylim()), "boxes": len(counts.patches)}]
"""
    assert rows_of(executor, statement) == [{"labels": ["a", "b"], "bars": 6, "limits": [0.85, 4.15], "boxes": 3}]


def test_dates_label_the_axis(executor: wasmexec.Executor) -> None:
    statement = """
import datetime
import matplotlib.pyplot as plt
from matplotlib import dates
figure, axes = plt.subplots()
axes.plot([datetime.date(2024, month, 1) for month in range(1, 7)], range(6))
axes.xaxis.set_major_locator(dates.MonthLocator())
axes.xaxis.set_major_formatter(dates.DateFormatter("%d %b"))
figure.canvas.draw()
return [{"label": label.get_text()} for label in axes.get_xticklabels()]
"""
    labels = ["01 Jan", "01 Feb", "01 Mar", "01 Apr", "01 May", "01 Jun"]
    assert rows_of(executor, statement) == [{"label": label} for label in labels]


def test_contours_and_triangles_take_indices_of_any_width(executor: wasmexec.Executor) -> None:
    statement = """
import matplotlib.pyplot as plt
import numpy as np
z = np.add.outer(np.arange(30.0), np.arange(20.0))
figure, axes = plt.subplots()
rows = [{"case": "contour", "value": [len(path.vertices) for path in axes.contour(z, levels=[10.5]).get_paths()]}]
x, y = np.array([0.0, 1, 1, 0]), np.array([0.0, 0, 1, 1])
for kind in ("int32", "int64", "uint8"):
    triangles = np.array([[0, 1, 2], [0, 2, 3]], kind)
    found = axes.tricontour(x, y, triangles, [0.0, 1, 2, 3], levels=[1.5]).get_paths()
    rows.append({"case": kind, "value": [len(path.vertices) for path in found]})
counts, edges, patches = axes.hist(np.array([1, 2, 2, 3]), bins=3)
rows.append({"case": "hist", "value": counts.tolist()})
return rows
"""
    assert rows_of(executor, statement) == [
        {"case": "contour", "value": [22]},
        {"case": "int32", "value": [3]},
        {"case": "int64", "value": [3]},
        {"case": "uint8", "value": [3]},
        {"case": "hist", "value": [1.0, 2.0, 1.0]},
    ]


# What pyplot draws once more after saving, the canvas must hold afterwards, whether or not it was drawn again.
SAVED_HOW = (
    "format='png'", "format='png', dpi=50", "format='png', transparent=True", "format='png', facecolor='red'",
    "format='png', bbox_inches='tight'", "format='jpg'", "format='svg'", "format='pdf'",
)  # fmt: skip


@pytest.mark.parametrize("how", SAVED_HOW)
def test_after_savefig_the_canvas_holds_the_figure(executor: wasmexec.Executor, how: str) -> None:
    statement = f"""
import io
import matplotlib.pyplot as plt
import numpy as np
figure, axes = plt.subplots()
axes.plot([1, 4, 9], label="squares")
axes.set(title="title", xlabel="x")
axes.legend()
def seen():
    return np.array(figure.canvas.buffer_rgba()), [text.get_window_extent().bounds for text in axes.get_xticklabels()]
plt.savefig(io.BytesIO(), {how})
stale = figure.stale
pixels, places = seen()
figure.canvas.draw_idle()
again, there = seen()
return [{{"same": np.array_equal(pixels, again), "places": places == there, "stale": stale, "drawn": pixels.std() > 5}}]
"""
    assert rows_of(executor, statement) == [{"same": True, "places": True, "stale": False, "drawn": True}]


def test_savefig_lays_out_once_more_what_moves_with_every_draw(executor: wasmexec.Executor) -> None:
    statement = """
import io
import matplotlib.pyplot as plt
def place(save):
    figure, axes = plt.subplots(2, 2, layout="constrained")
    axes[0, 0].boxplot([[1, 2, 3], [4, 5, 9]])
    axes[0, 0].set_title("title")
    save(figure)
    return [part.get_position().bounds for part in axes.flat]
def once(figure):
    figure.savefig(io.BytesIO())
def twice(figure):
    once(figure)
    figure.canvas.draw()
def by_pyplot(figure):
    plt.savefig(io.BytesIO())
return [{"moves": place(once) != place(twice), "same": place(twice) == place(by_pyplot)}]
"""
    assert rows_of(executor, statement) == [{"moves": True, "same": True}]


def test_who_waits_for_draw_events_sees_both_draws_of_savefig(executor: wasmexec.Executor) -> None:
    statement = """
import io
import matplotlib.pyplot as plt
events = []
plt.plot([1, 2])
plt.gcf().canvas.mpl_connect("draw_event", events.append)
plt.savefig(io.BytesIO())
return [{"events": len(events)}]
"""
    assert rows_of(executor, statement) == [{"events": 2}]


def test_the_sample_data_of_the_documentation_is_there(executor: wasmexec.Executor) -> None:
    statement = """
import numpy as np
from matplotlib import cbook
with cbook.get_sample_data("data_x_x2_x3.csv") as file:
    return [{"last": np.loadtxt(file)[-1].tolist()}]
"""
    assert rows_of(executor, statement) == [{"last": [10, 100, 1000]}]


def test_show_says_that_there_is_no_display_and_what_to_do(executor: wasmexec.Executor) -> None:
    result = executor.run("import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\nreturn [{'a': 1}]")
    assert result.rows == [{"a": 1}]
    (message,) = warnings_of(result)
    assert message == (
        "UserWarning: there is no display here, so FigureCanvasAgg cannot show the figure; write it with savefig, for "
        "example buffer = io.BytesIO(); plt.savefig(buffer, format='png') (line 3)"
    )


def test_a_font_that_is_not_there_is_named_and_replaced(executor: wasmexec.Executor) -> None:
    statement = PNG + "plt.title('x', family='Comic Neue')\nreturn [{'drawn': len(png()) > 1000}]"
    result = executor.run(statement)
    assert result.rows == [{"drawn": True}]
    assert warnings_of(result)[0] == "findfont: Font family 'Comic Neue' not found."
    strict = """
from matplotlib import font_manager
return [{"path": font_manager.findfont("Comic Neue", fallback_to_default=False)}]
"""
    failed = executor.run(strict)
    assert int(failed.status) == 300
    assert "Failed to find font Comic Neue" in str(failed.error)


def test_a_letter_that_no_font_has_is_named(executor: wasmexec.Executor) -> None:
    result = executor.run(PNG + "plt.title('\\u4e00')\npng()\nreturn [{'a': 1}]")
    assert warnings_of(result)[0].startswith(
        "UserWarning: Glyph 19968 (\\N{CJK UNIFIED IDEOGRAPH-4E00}) missing from current font."
    )


def test_an_unknown_format_lists_the_known_ones(executor: wasmexec.Executor) -> None:
    result = executor.run("import matplotlib.pyplot as plt\nplt.savefig('/tmp/a.docx')\nreturn []")
    assert "Format 'docx' is not supported (supported formats: eps, jpeg, jpg, pdf, pgf, png" in str(result.error)


@pytest.mark.parametrize("pixels", [33_000, 40_000, 65_000])
def test_a_figure_larger_than_memory_is_a_memory_error(executor: wasmexec.Executor, pixels: int) -> None:
    statement = (
        f"import matplotlib.pyplot as plt\nplt.figure(figsize=({pixels}, {pixels}), dpi=1).canvas.draw()\nreturn []"
    )
    result = executor.run(statement)
    assert int(result.status) == 300
    assert str(result.error).startswith("MemoryError")
    assert rows_of(executor, "return [{'a': 1}]") == [{"a": 1}]


FRESH = """
import matplotlib
import matplotlib.pyplot as plt
from matplotlib import dates, units
import pandas as pd
dates.set_epoch("2000-01-01")
changed = [name for name, value in plt.rcParams.items() if name != "backend" and value != plt.rcParamsDefault[name]]
kinds = sorted({type(converter).__module__ for converter in units.registry.values()})
return [{"figures": plt.get_fignums(), "changed": changed, "converters": kinds, "backend": matplotlib.get_backend()}]
"""


def test_a_statement_finds_pyplot_as_after_its_import(executor: wasmexec.Executor) -> None:
    fresh = {"figures": [], "changed": [], "converters": [], "backend": "agg"}
    fresh["converters"] = ["matplotlib.category", "matplotlib.dates", "matplotlib.units"]
    assert rows_of(executor, FRESH) == [fresh]
    executor.run("import matplotlib.pyplot as plt\nplt.rcParams['lines.linewidth'] = 9\nplt.figure(7)\nreturn []")
    assert rows_of(executor, FRESH) == [fresh]


def test_the_gate_permits_what_the_contract_lists(executor: wasmexec.Executor) -> None:
    statement = """
import matplotlib
import matplotlib.pyplot as plt
from matplotlib import colors, dates, patches, ticker
return [{"version": matplotlib.__version__, "colour": colors.to_hex("tab:blue")}]
"""
    assert rows_of(executor, statement) == [{"version": "3.8.2", "colour": "#1f77b4"}]
    refused = executor.run("import matplotlib.dates\nreturn []")
    assert "import of 'matplotlib.dates' is not allowed" in str(refused.error)
