"""How long from a key press on a slider, or a choice in a list, to the new picture on the page?

    python benchmarks/redraw.py [notebook.ipynb ...]

For every control of every explorer: the median over 20 moves in headless Chromium, measured in the
page, from the event to the drawn picture, and what the render took of it (process time of a kernel
that is not asked by the page).
"""

import importlib
import pkgutil
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/browser"))
from jlab import CHROMIUM, FLAGS, LabServer, Notebook  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

import mflib.explore  # noqa: E402
from mflib.explore.base import Choice, Explorer  # noqa: E402

for module in pkgutil.iter_modules(mflib.explore.__path__):
    importlib.import_module(f"mflib.explore.{module.name}")

PRESSES = 20
WATCH = """([panel]) => {
    let begin
    const pressed = () => { begin ??= performance.now() }
    const drawn = () => { window.times.push(performance.now() - begin); begin = undefined }
    window.times = []
    for (const event of ['keydown', 'change']) panel.addEventListener(event, pressed, true)
    // the settings are written after the picture
    new MutationObserver(drawn).observe(panel.querySelector('[role=status]'), {attributes: true})
}"""


def moves(control):
    """Return the values of the moves: two up, two down, from the start."""
    values = control.options if isinstance(control, Choice) else control.values
    at = values.index(control.start)
    step = 1 if at + 2 < len(values) else -1
    there = [values[(at + step * i) % len(values)] for i in (1, 2, 1, 0)]
    return [there[i % 4] for i in range(PRESSES)], step


def in_the_page(explorer, control):
    """Return the milliseconds from each event to its picture.

    The driver of the browser rests until the picture is there: it would take a processor.
    """
    values, step = moves(control)
    explorer.page.evaluate(WATCH, [explorer.panel.element_handle()])
    for i, value in enumerate(values):
        if isinstance(control, Choice):
            explorer.choose(control.label, value)
        else:
            explorer.handle(control.label).focus()
            up = (i % 4 < 2) == (step > 0)
            explorer.page.keyboard.down("ArrowRight" if up else "ArrowLeft")
        time.sleep(0.3)
        if not isinstance(control, Choice):
            explorer.page.keyboard.up("ArrowRight" if up else "ArrowLeft")
    return explorer.page.evaluate("() => window.times")


def of_the_render(explorer_type, name, control):
    """Return the milliseconds of processor time that each picture takes."""
    times, explorer = [], explorer_type()
    explorer.sharpen(1)  # as the page of this benchmark
    for value in moves(control)[0]:
        begin = time.process_time()
        explorer.set(**{name: value})
        times.append(1000 * (time.process_time() - begin))
    return times


def main(names):
    """Print one line a control."""
    explorers = {cls.__name__: cls for cls in Explorer.__subclasses__()}
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    server = LabServer(folder / "notebooks")
    try:
        with sync_playwright() as driver:
            page = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS).new_page()
            for name in names:
                notebook = Notebook(page, server, name).run_all()
                shown = (ROOT / "notebooks" / name).read_text("utf-8").count("Explorer().show()")
                for explorer in notebook.explorers(shown):
                    explorer_type = explorers[explorer.name()]
                    explorer.wait_for(explorer_type.start())
                    for setting, control in explorer_type.controls.items():
                        times = in_the_page(explorer, control)
                        renders = of_the_render(explorer_type, setting, control)
                        print(
                            f"{name[:2]} {control.label:20} median {statistics.median(times):4.0f} "
                            f"ms, worst {max(times):4.0f}; render {statistics.median(renders):3.0f}"
                        )
                notebook.close()
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:] or sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")))
