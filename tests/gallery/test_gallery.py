"""A gallery of plots, drawn in the guest and by native CPython with the same versions; the pictures must be alike.

Both sets, and a picture of each difference, are kept in build/gallery for people to look at. The one thing that is not
of the same version is freetype: the published wheel of matplotlib has 2.6.1 inside, the guest 2.12.1, and the two hint
letters differently. Without letters the pictures are therefore compared again, much more strictly.
"""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests import reference

import wasmexec

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SAVED = ROOT / "build" / "gallery"

HIDE_TEXT = """
from matplotlib import text
for letters in plt.gcf().findobj(text.Text):
    letters.set_visible(False)
"""
ENDINGS = {"whole": "", "no letters": HIDE_TEXT}
WRITE = """
import io
buffer = io.BytesIO()
plt.savefig(buffer, format="png")
plt.close("all")
return [{"png": buffer.getvalue()}]
"""

# Shares of all pixels with a channel that differs by more than 32 of 255.
CHANGED = 0.01
# Where the axes are placed by the sizes of their letters, they may lie a pixel further.
LAID_OUT_BY_LETTERS = ("bars", "boxes", "logarithms")
MOVED = 0.03
# Root mean squares of all channels. Functions of numpy may differ in the last bit, which changes a pixel by a shade.
SHADE = 0.01
# The lines of a contour leave gaps that are as wide as their labels.
GAPS = 0.5

FIGURES = {
    title.strip(): statement
    for part in (HERE / "figures.py").read_text("utf-8").split("# === ")[1:]
    for title, _, statement in [part.partition("\n")]
}
JOBS = {
    f"{name}, {ending}": f"import matplotlib.pyplot as plt\n{statement}{text}{WRITE}"
    for ending, text in ENDINGS.items()
    for name, statement in FIGURES.items()
}


def _native_rows() -> list[dict[str, Any]]:
    runner = ROOT / "tests" / "differential" / "native_runner.py"
    answer = reference.run("-I", runner, standard_input=json.dumps(list(JOBS.values())))
    assert answer.returncode == 0, answer.stderr
    rows: list[dict[str, Any]] = json.loads(answer.stdout)
    return rows


@pytest.fixture(scope="module")
def compared(executor: wasmexec.Executor) -> dict[str, dict[str, Any]]:
    """How far guest and native pictures lie apart, by job (see compare.py)."""
    folders = [SAVED / name for name in ("guest", "native", "difference")]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for (name, statement), drawn in zip(JOBS.items(), _native_rows(), strict=True):
        assert "rows" in drawn, (name, drawn)
        result = executor.run(statement)
        assert result.error is None, (name, result.error)
        for folder, rows in zip(folders, (result.rows, drawn["rows"]), strict=False):
            (folder / f"{name}.png").write_bytes(base64.b64decode(rows[0]["png"]))
    answer = reference.run("-I", HERE / "compare.py", *folders)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, dict[str, Any]] = json.loads(answer.stdout)
    return found


def test_the_gallery_has_at_least_twelve_kinds() -> None:
    assert len(FIGURES) >= 12


@pytest.mark.parametrize("name", FIGURES)
def test_guest_and_native_draw_the_same_figure(name: str, compared: dict[str, dict[str, Any]]) -> None:
    found = compared[f"{name}, whole"]
    assert found["size"] == found["native_size"]
    assert found["drawn"] > 0.01
    assert found["changed"] <= (MOVED if name in LAID_OUT_BY_LETTERS else CHANGED)


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "text"])
def test_without_letters_every_pixel_is_the_same(name: str, compared: dict[str, dict[str, Any]]) -> None:
    found = compared[f"{name}, no letters"]
    assert found["drawn"] > 0.01
    assert found["rms"] <= (GAPS if name == "contour" else SHADE)
