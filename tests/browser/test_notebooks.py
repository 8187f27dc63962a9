"""Every notebook runs in the browser, and every control of every explorer moves to both ends."""

from pathlib import Path

import numpy as np
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("name", LESSONS)
def test_runs_and_every_control_reaches_both_ends(open_notebook, name):
    notebook = open_notebook(name).run_all()
    for output in notebook.outputs():
        assert output["output_type"] != "error", output
        assert output.get("name") != "stderr", output
    assert notebook.page.locator(".MathJax_Error, mjx-merror").count() == 0
    for explorer in notebook.explorers():
        check_explorer(explorer)


def check_explorer(explorer):
    start_words, start = explorer.status.inner_text(), explorer.pixels()
    assert start_words
    assert (start < 200).mean() > 0.005  # something is drawn
    for label in explorer.labels():
        pictures = [start]
        for key in ("Home", "End"):
            explorer.press(label, key)
            words = explorer.status.inner_text()
            assert words, label
            assert not words.startswith("Error"), words
            pictures.append(explorer.pixels())
            assert pictures[-1].shape == start.shape, "the picture changed its size"
        assert any(not np.array_equal(a, b) for a, b in zip(pictures, pictures[1:], strict=False))
        explorer.reset()
        assert explorer.status.inner_text() == start_words
        assert np.array_equal(explorer.pixels(), start)


def test_power_iteration_tells_its_states(open_notebook):
    name = "01_eigendecomposition_and_power_iteration.ipynb"
    (explorer,) = open_notebook(name).run_all().explorers()
    explorer.says("Converging. Step 2: .* 0.2 times")
    explorer.press("Step", "End")
    explorer.says("Converged. Step 30")
    explorer.type("Start angle (°)", 135)
    explorer.says("Rescued by rounding")
    explorer.type("Step", 5)
    explorer.says("On the wrong line")
    for entry in ("Entry a₁₁", "Entry a₂₂"):
        explorer.type(entry, 0)
    explorer.type("Start angle (°)", 10)
    explorer.says("Not converging")
    explorer.type("Entry a₁₂ = a₂₁", 0)
    explorer.says("Breakdown")


def test_a_slider_follows_its_box_and_the_mouse(open_notebook):
    (explorer,) = open_notebook("00_start_here.ipynb").run_all().explorers()
    explorer.says("Smaller")
    explorer.type("Rank k", 60)
    explorer.says("Larger")
    handle = explorer.handle("Rank k").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    mouse = explorer.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x - 300, y, steps=20)
    mouse.up()
    explorer.says("hold 1 ×")
    assert explorer.box("Rank k").input_value() == "1"
