"""How long from a key press on a slider to the new picture on the page?

    python benchmarks/redraw.py [notebook.ipynb ...]

For every control of every explorer: the median over 20 key presses in headless Chromium, measured
in the page, from the key event to the decoded picture.
"""

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/browser"))
from jlab import CHROMIUM, FLAGS, LabServer, Notebook  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

PRESSES = 20
WATCH = """([cell]) => {
    window.pictureShown = new Promise(done => {
        document.addEventListener('keydown', () => { window.pressed = performance.now() },
                                  {capture: true, once: true});
        const watch = new MutationObserver(() => {
            const image = cell.querySelector('.jp-RenderedImage img');
            if (!image || image === window.lastImage) return;
            window.lastImage = image;
            watch.disconnect();
            image.decode().then(() => done(performance.now() - window.pressed));
        });
        window.lastImage = cell.querySelector('.jp-RenderedImage img');
        watch.observe(cell, {childList: true, subtree: true, attributes: true});
    });
}"""


def measure(explorer, label):
    """Return the milliseconds of each key press; the slider goes up and down in the middle."""
    handle = explorer.handle(label) if label else None  # the slider itself has an empty label
    if handle is None or not handle.count():
        return []
    times = []
    cell = explorer.cell.element_handle()
    for press in range(PRESSES):
        handle.focus()
        explorer.page.evaluate(WATCH, [cell])
        explorer.page.keyboard.press("ArrowRight" if press % 4 < 2 else "ArrowLeft")
        times.append(explorer.page.evaluate("() => window.pictureShown"))
        explorer.pixels()  # at rest before the next key
    return times


def main(names):
    """Print one line a control."""
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
                    for label in explorer.panel.locator("label").all_inner_texts():
                        if times := measure(explorer, label):
                            print(
                                f"{name[:2]} {label:20} median {statistics.median(times):4.0f} ms, "
                                f"worst {max(times):4.0f} ms"
                            )
                notebook.close()
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:] or sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")))
