"""Every notebook runs in the browser, and every control of every explorer moves to both ends."""

import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

import mflib.explore
from mflib.explore.base import Choice, Explorer, in_print

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
for module in pkgutil.iter_modules(mflib.explore.__path__):
    importlib.import_module(f"mflib.explore.{module.name}")
EXPLORERS = {cls.__name__: cls for cls in Explorer.__subclasses__()}


@pytest.mark.parametrize("name", LESSONS)
def test_runs_and_every_control_reaches_both_ends(open_notebook, name):
    notebook = open_notebook(name).run_all()
    for output in notebook.outputs():
        assert output["output_type"] != "error", output
        assert output.get("name") != "stderr", output
    assert notebook.page.locator("mjx-merror").count() == 0
    shown = (NOTEBOOKS / name).read_text(encoding="utf-8").count("Explorer().show()")
    for explorer in notebook.explorers(shown):
        check_explorer(explorer)


def check_explorer(explorer):
    explorer_type = EXPLORERS[explorer.name()]
    start = explorer_type.start()
    explorer.wait_for(start)
    width = 100 * explorer_type.size[0] * (explorer_type.sharpness or 1)
    expect(explorer.picture).to_have_js_property("width", round(width))  # as fine as the screen
    first = explorer.pixels()
    assert (first < 200).mean() > 0.005  # something is drawn
    for name, control in explorer_type.controls.items():
        pictures = [first]
        for value in move_to_the_ends(explorer, control):
            explorer.wait_for(start | {name: value})
            result = explorer_type.compute(**start | {name: value})
            assert explorer.sentence() == f"{result.state}. {in_print(result.message)}."
            pictures.append(explorer.pixels())
            assert pictures[-1].shape == first.shape, "the picture changed its size"
            assert explorer.height() <= 520
            assert explorer.cut() == []
        assert any((a != b).any() for a, b in zip(pictures, pictures[1:], strict=False)), name
        explorer.button("Reset").click()
        explorer.wait_for(start)
        assert np.array_equal(explorer.pixels(), first)


def move_to_the_ends(explorer, control):
    if isinstance(control, Choice):
        for option in control.values[0], control.values[-1]:
            explorer.choose(control.label, option)
            yield option
    else:
        for key, value in ("Home", control.values[0]), ("End", control.values[-1]):
            explorer.press(control.label, key)
            yield value


def test_a_copy_shows_no_answer_before_it_is_run_and_the_trouble_list_quotes_what_it_says_later(
    open_notebook,
):
    notebook = open_notebook("my_course/00_start_here.ipynb")
    notebook.shows(".jp-MarkdownOutput strong", 1, "Question 1.")
    assert notebook.outputs() == []
    notebook.shows(".jp-OutputArea-output, .jp-Cell img", 0)
    notebook.run_all()
    stored = (NOTEBOOKS / "00_start_here.ipynb").read_text(encoding="utf-8")
    figures = stored.count('"image/png": "') - stored.count("Explorer().show()")
    assert figures > 5
    notebook.shows(".jp-RenderedImage img", figures)

    open_notebook.expected = ("Error: widget model not found",)
    reopened = notebook.save_and_reopen()
    said = "Error displaying widget: model not found"
    reopened.shows(".jp-OutputArea-output", 1, said)
    reopened.shows(".jp-MarkdownOutput", 1, said)
    reopened.run_all().shows(".jp-OutputArea-output", 0, said)
    reopened.explorers(1)[0].says("Smaller")
