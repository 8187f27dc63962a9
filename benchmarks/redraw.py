"""How long from a key press on a slider, or a choice in a list, to the new picture on the page?

    python benchmarks/redraw.py [notebook.ipynb ...]

For every control of every explorer: the median over 10 moves to new values, where there are as
many, and over 10 back to values seen before, in headless Chromium, measured in the page, from the
event to the drawn picture. Moves are 0.3 s apart, as a play button's are: in between the kernel
draws the next picture the same way. And what a render takes that was not drawn ahead (process time
of a kernel that is not asked by the page).
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

MOVES = 10
WATCH = """([panel]) => {
    let begin
    const pressed = () => { begin ??= performance.now() }
    const drawn = () => { window.times.push(performance.now() - begin); begin = undefined }
    for (const event of ['keydown', 'change']) panel.addEventListener(event, pressed, true)
    // the settings are written after the picture
    new MutationObserver(drawn).observe(panel.querySelector('[role=status]'), {attributes: true})
}"""


def moves(control):
    """Return the values of the moves: onwards, most of them new, and back over the same."""
    values = control.values
    there_and_back = [*values, *values[-2:0:-1]]
    at = values.index(control.start)
    onwards = [there_and_back[(at + i) % len(there_and_back)] for i in range(MOVES + 1)]
    return [*onwards[1:], *onwards[-2::-1]]


def in_the_page(explorer, control):
    """Return the milliseconds from each event to its picture.

    The driver of the browser rests until the picture is there: it would take a processor.
    """
    explorer.page.evaluate("() => { window.times = [] }")
    last = control.start
    for n, value in enumerate(moves(control), 1):
        if isinstance(control, Choice):
            explorer.choose(control.label, value)
        else:
            explorer.handle(control.label).focus()
            explorer.page.keyboard.press("ArrowRight" if value > last else "ArrowLeft")
        time.sleep(0.3)
        explorer.page.wait_for_function("n => window.times.length === n", arg=n)
        last = value
    return explorer.page.evaluate("() => window.times")


def of_the_render(explorer_type, name, control):
    """Return the milliseconds of processor time that each picture takes."""
    times, explorer = [], explorer_type()
    explorer.sharpen(1)  # as the page of this benchmark
    for value in moves(control):
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
                    page.evaluate(WATCH, [explorer.panel.element_handle()])
                    for setting, control in explorer_type.controls.items():
                        times = in_the_page(explorer, control)
                        renders = of_the_render(explorer_type, setting, control)
                        new, seen = (
                            f"{statistics.median(times[half]):4.0f} ms, "
                            f"render {statistics.median(renders[half]):3.0f}"
                            for half in (slice(MOVES), slice(MOVES, None))
                        )
                        print(f"{name[:2]} {control.label:28} new {new}; seen {seen}", flush=True)
                notebook.close()
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:] or sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")))
