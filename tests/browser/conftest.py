"""JupyterLab and Chromium for the browser tests; without them they skip with one line."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

EVENTS = "pageerror", "console"
HERE = Path(__file__).parent
NOTEBOOKS = HERE.parents[1] / "notebooks"
ARTIFACTS = Path(os.environ.get("BROWSER_ARTIFACTS", HERE / "artifacts"))


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from jlab import CHROMIUM, FLAGS

    if CHROMIUM is None:
        pytest.skip("no Chromium found: install it, or name it in the variable CHROMIUM")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    from jlab import LabServer
    from make_copies import update

    root = tmp_path_factory.mktemp("course") / "notebooks"
    shutil.copytree(NOTEBOOKS, root)  # never the originals
    update(NOTEBOOKS, root / "my_course")
    server = LabServer(root)
    yield server
    server.stop()


@contextmanager
def new_page(browser):
    """Return a page with nothing in it, and close it at the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 640}, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@contextmanager
def opening(page, lab, name):
    """Open notebooks in a page; keep a screenshot at the end, and fail on errors in the page."""
    from jlab import Notebook

    problems, opened = [], []

    def note(error):
        if getattr(error, "type", "error") == "error":  # of the console, or not caught
            problems.append(getattr(error, "text", str(error)))

    def open_(path, reduced_motion="reduce"):
        page.emulate_media(reduced_motion=reduced_motion)
        opened.append(Notebook(page, lab, path))
        return opened[-1]

    open_.expected = ()  # how errors begin that a test means to provoke
    for event in EVENTS:
        page.on(event, note)
    yield open_
    try:
        ARTIFACTS.mkdir(exist_ok=True)
        file = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        page.screenshot(path=ARTIFACTS / f"{file}.png")
    finally:
        for notebook in opened:
            notebook.close()
        for event in EVENTS:
            page.remove_listener(event, note)
    problems = [problem for problem in problems if not problem.startswith(open_.expected)]
    assert not problems, problems


@pytest.fixture(scope="session")
def page(browser):
    """The page in which one notebook after the other is opened, as learners do."""
    with new_page(browser) as page:
        yield page


@pytest.fixture
def open_notebook(page, lab, request):
    with opening(page, lab, request.node.name) as open_:
        yield open_


@pytest.fixture(scope="module")
def open_for_all(browser, lab):
    """Open one notebook that several tests share."""
    with new_page(browser) as page, opening(page, lab, "shared") as open_:
        yield open_
