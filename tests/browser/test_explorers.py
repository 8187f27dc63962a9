"""What a learner does to an explorer: drag, type, play, reload, with the mouse or by keyboard."""

import re

import nbformat
import numpy as np
import pytest
from playwright.sync_api import expect

POWER = "from mflib.explore.power_iteration import PowerIterationExplorer as Shown"
QUADRATIC = "from mflib.explore.quadratic import QuadraticExplorer as Shown"
FACTORIZATION = "from mflib.explore.factorization import FactorizationExplorer as Shown"
FONT_SIZES = """panel => [...panel.querySelectorAll('label, input, select, button, p, b, span')]
    .map(element => parseFloat(getComputedStyle(element).fontSize))"""
TOPS = """panel => [...panel.querySelectorAll('canvas, p')].map(
    element => element.getBoundingClientRect().top - panel.getBoundingClientRect().top)"""


def write(lab, name, cells):
    """Write a notebook of these cells."""
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, lab.root / name)
    return name


def run(opened, count):
    """Run an open notebook, and return its explorers and itself."""
    explorers = opened.run_all().explorers(count)
    for explorer in explorers:
        expect(explorer.status).to_have_attribute("data-settings", re.compile("^{"))
    return (*explorers, opened)


@pytest.fixture
def show(open_notebook, lab, request):
    """Open a notebook of the given cells, run it, and return its explorers and itself."""

    def show_(*cells, count=1, **page):
        name = write(lab, f"{request.node.name}.ipynb", cells)
        return run(open_notebook(name, **page), count)

    return show_


@pytest.fixture(scope="module")
def shared(open_for_all, lab):
    """Return two explorers with their start, and their notebook, for all tests that only move."""
    cells = QUADRATIC, "Shown().show()", POWER, "Shown().show()", "1 + 1"
    *explorers, notebook = run(open_for_all(write(lab, "shared.ipynb", cells)), 2)
    starts = [(explorer, explorer.settings()) for explorer in explorers]
    return dict(zip((QUADRATIC, POWER), starts, strict=True)), notebook


@pytest.fixture
def begin(shared):
    """Return an explorer at its start, and its notebook."""
    explorers, notebook = shared

    def begin_(shown):
        explorer, start = explorers[shown]
        explorer.button("Reset").click()
        explorer.wait_for(start)
        return explorer, notebook

    return begin_


def test_a_typed_number_is_kept_as_typed_and_letters_are_refused(begin):
    explorer, _ = begin(QUADRATIC)
    eta, step = "Learning rate η", "Step"
    for typed, value in (("0.25", 0.25), ("0,25", 0.25), ("0.0517", 0.0517), (" 1e-2 ", 0.01)):
        explorer.type(eta, typed)
        explorer.wait_for({"learning_rate": value})
        expect(explorer.box(eta)).to_have_value(str(value))
    for label, typed in ((eta, "abc"), (eta, ""), (eta, "7"), (step, "2.7"), (step, "-1")):
        explorer.type(label, typed)
        expect(explorer.status).to_contain_text(f"“{typed}” is no")
        expect(explorer.status).to_contain_text(label)
        expect(explorer.box(label)).to_have_attribute("aria-invalid", "true")
        assert explorer.settings()["learning_rate"] == 0.01
        explorer.button("Reset").click()
        expect(explorer.status).to_contain_text("Converging")
        expect(explorer.box(eta)).to_have_value("0.19")
        explorer.type(eta, "0.01")
        explorer.wait_for({"learning_rate": 0.01})


def test_up_and_down_go_one_step_of_the_slider_in_box_and_bar(begin):
    explorer, _ = begin(QUADRATIC)
    eta = "Learning rate η"
    box = explorer.box(eta)
    for key, value in (("ArrowUp", 0.192), ("ArrowDown", 0.19), ("ArrowDown", 0.188)):
        box.press(key)
        explorer.wait_for({"learning_rate": value})
    explorer.type(eta, "0.251")
    box.press("ArrowUp")
    explorer.wait_for({"learning_rate": 0.255})
    box.press("ArrowDown")
    explorer.wait_for({"learning_rate": 0.25})
    explorer.press(eta, "ArrowRight")
    explorer.wait_for({"learning_rate": 0.255})
    expect(explorer.handle(eta)).to_have_attribute("aria-valuetext", "0.255")
    expect(box).to_have_value("0.255")


def test_a_negative_number_has_a_minus_sign(begin):
    explorer, _ = begin(POWER)
    explorer.press("Entry a₁₁", "Home")
    explorer.wait_for({"a": -4})
    expect(explorer.box("Entry a₁₁")).to_have_value("−4")
    explorer.type("Entry a₁₁", "-0.25")
    explorer.wait_for({"a": -0.25})
    explorer.type("Entry a₁₁", "−0,5")
    explorer.wait_for({"a": -0.5})


def test_the_sentence_is_one_node_whose_text_changes(begin):
    explorer, _ = begin(POWER)
    before, text = explorer.status.element_handle(), explorer.sentence()
    explorer.press("Step", "End")
    explorer.wait_for({"step": 30})
    explorer.type("Step", "abc")
    explorer.type("Step", 5)
    explorer.wait_for({"step": 5})
    assert before.evaluate("(node, now) => node === now", explorer.status.element_handle())
    assert before.get_attribute("role") == "status"
    assert explorer.sentence() != text


def test_everything_has_a_name_and_type_for_the_back_row(begin):
    explorer, _ = begin(POWER)
    for control in explorer.panel.locator("input, select, button, canvas").all():
        assert control.get_attribute("aria-label") or control.inner_text()
    assert min(explorer.panel.evaluate(FONT_SIZES)) >= 17
    assert len(explorer.picture.get_attribute("aria-label")) > 20


def test_the_picture_is_as_fine_as_the_screen(begin):
    explorer, _ = begin(POWER)
    screen = explorer.page.context.new_cdp_session(explorer.page)
    for pixels, shape, step in (
        (1, (370, 940, 3), 3),
        (2, (555, 1410, 3), 4),
        (1, (370, 940, 3), 5),
    ):
        metrics = {"width": 1280, "height": 640, "deviceScaleFactor": pixels, "mobile": False}
        screen.send("Emulation.setDeviceMetricsOverride", metrics)
        explorer.type("Step", step)
        explorer.wait_for({"step": step})
        assert explorer.pixels().shape == shape
        assert explorer.picture.bounding_box()["width"] == 940


def test_the_picture_stays_where_it_is_when_the_sentence_grows(begin):
    explorer, _ = begin(POWER)
    places, height = explorer.panel.evaluate(TOPS), explorer.height()
    for angle, step in ((135, 5), (135, 30), (0, 30)):
        explorer.type("Start angle (°)", angle)
        explorer.type("Step", step)
        explorer.wait_for({"angle": angle, "step": step})
        assert explorer.panel.evaluate(TOPS) == places
        assert explorer.height() == height


def test_power_iteration_tells_its_states(begin):
    explorer, _ = begin(POWER)
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


def test_play_runs_to_the_end_pauses_and_begins_again(show):
    explorer, _ = show(POWER, "Shown().show()", reduced_motion="no-preference")
    explorer.type("Step", 26)
    explorer.button("Play").click()
    explorer.wait_for({"step": 28})
    explorer.button("Pause").click()
    expect(explorer.button("Play")).to_be_visible()
    paused = explorer.settings()["step"]
    explorer.button("Step").click()
    explorer.wait_for({"step": paused + 1})
    explorer.button("Play").click()
    explorer.wait_for({"step": 30})
    expect(explorer.button("Play")).to_be_visible()  # it stopped by itself
    explorer.button("Play").click()
    explorer.wait_for({"step": 1})
    explorer.button("Reset").click()
    explorer.wait_for({"step": 2})


def test_who_wants_less_motion_steps(begin):
    explorer, _ = begin(POWER)  # the tests' default
    expect(explorer.button("Play")).to_have_count(0)
    explorer.button("Step").click()
    explorer.wait_for({"step": 3})


def test_keys_on_a_control_are_not_commands_of_jupyterlab(begin):
    explorer, notebook = begin(POWER)
    cells = "() => window.jupyterapp.shell.currentWidget.content.widgets.length"
    active = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    explorer.handle("Step").focus()
    before = [notebook.page.evaluate(what) for what in (cells, active)]
    for key in ("ArrowDown", "ArrowUp", "ArrowRight", "b", "a", "d", "d", "x"):
        explorer.press("Step", key)
    explorer.wait_for({"step": 3})
    assert [notebook.page.evaluate(what) for what in (cells, active)] == before


def test_keys_on_a_control_are_marked_as_taken_before_a_notebook_sees_them(begin):
    # Notebook 7 handles keys while they travel down to the control, and heeds this mark.
    explorer, notebook = begin(POWER)
    notebook.page.evaluate(
        """() => document.addEventListener('keydown', event => {
            window.taken = event.target.hasAttribute('data-lm-suppress-shortcuts') }, true)"""
    )
    for key, taken in (("ArrowDown", True), ("d", True), ("Control+s", False)):
        explorer.press("Step", key)
        assert notebook.page.evaluate("() => window.taken") is taken


def test_escape_gives_the_keys_back_to_the_notebook(show):
    explorer, notebook = show(POWER, "Shown().show()", "1 + 1")
    explorer.press("Step", "ArrowRight")
    explorer.wait_for({"step": 3})
    cells = notebook.page.locator(".jp-Cell")
    for key in ("ArrowDown", "Shift+Enter"):
        explorer.press("Step", "Escape")
        expect(cells.nth(1)).to_be_focused()
        notebook.page.keyboard.press(key)
        expect(cells.nth(2)).to_be_focused()


def test_shown_twice_both_move_and_a_reload_finds_them_where_they_were(show):
    *explorers, notebook = show(POWER, "e = Shown()\ne.show()", "e.show()", count=2)
    first, second = explorers
    first.press("Step", "End")
    for explorer in (first, second):
        explorer.wait_for({"step": 30})
        expect(explorer.box("Step")).to_have_value("30")
    assert np.array_equal(first.pixels(), second.pixels())
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    notebook.page.wait_for_function(
        "() => !window.jupyterapp.shell.currentWidget.context.model.dirty"
    )
    notebook.reload()
    first, second = notebook.explorers(2)
    for explorer in (first, second):
        explorer.wait_for({"step": 30})
    second.press("Step", "ArrowLeft")
    for explorer in (first, second):
        explorer.wait_for({"step": 29})


def test_a_drag_ends_where_the_hand_is(show):
    explorer, notebook = show(FACTORIZATION, "Shown().show()")
    bar = explorer.handle("Rank k").bounding_box()
    mouse, y = notebook.page.mouse, bar["y"] + bar["height"] / 2
    mouse.move(bar["x"] + 5, y)
    mouse.down()
    mouse.move(bar["x"] + bar["width"] + 40, y, steps=60)
    mouse.move(bar["x"] - 40, y, steps=60)
    mouse.up()
    explorer.wait_for({"k": 0})
    expect(explorer.box("Rank k")).to_have_value("0")
    explorer.says("hold 0 ×")


SLOW = """
import time
def slow(compute=Shown.compute, **settings):
    time.sleep(6)
    return compute(**settings)
Shown.compute = staticmethod(slow)
"""


def test_a_kernel_that_does_not_answer_is_named(show):
    explorer, notebook = show(POWER, "Shown().show()")
    notebook.page.evaluate(
        """code => { const session = window.jupyterapp.shell.currentWidget.sessionContext
            return session.session.kernel.requestExecute({code}).done.then(() => null) }""",
        SLOW,
    )
    explorer.press("Step", "End")
    explorer.says("Waiting")
    explorer.wait_for({"step": 30})
    explorer.says("Converged")
