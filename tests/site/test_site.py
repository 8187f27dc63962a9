"""The built site (`make site`) in a browser that is allowed nothing outside it.

Run by `make check-site`, not by `make test`: these tests need the built pages.
"""

import functools
import http.server
import json
import re
import threading
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
HTML = ROOT / "site/_build/html"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSONS = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
PAGES = ["index.html", "teaching.html", "glossary.html", "accessibility.html", *LESSONS]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address():
    handler = functools.partial(QuietHandler, directory=HTML)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser, address):
    """Return a function that opens a page; requests to elsewhere are refused and recorded."""
    pages, outside, faults = [], [], []

    def refuse(route):
        outside.append(route.request.url)
        route.abort()

    def open_page(path, width=1280, height=800):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.route(lambda url: not url.startswith((address, "data:", "blob:")), refuse)
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{address}/{path}")
        page.wait_for_function("() => !window.MathJax || MathJax.startup?.promise !== undefined")
        page.evaluate("async () => { if (window.MathJax) await MathJax.startup.promise }")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert outside == []
    assert faults == []


@pytest.mark.parametrize("path", PAGES)
def test_formulas_are_typeset_and_nothing_comes_from_outside(visit, path):
    page = visit(path)
    assert page.locator("mjx-merror").count() == 0
    raw = page.locator("span.math, div.math").filter(has_not=page.locator("mjx-container"))
    assert raw.count() == 0


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_a_phone(visit, path):
    page = visit(path, 390, 844)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_has_the_notebooks_alternative_text(visit, path):
    cells = nbformat.read(path, as_version=4).cells
    stored = [
        output.metadata["image/png"]["alt"]
        for cell in cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    images = visit(f"notebooks/{path.stem}.html").locator(".cell_output img")
    assert images.evaluate_all("images => images.map(image => image.alt)") == stored


@pytest.mark.parametrize("path", LESSONS[1:])
def test_the_output_after_a_question_is_folded_until_asked_for(visit, path):
    page = visit(path)
    hidden = page.locator(".tag_hide-output details.below-input")
    assert hidden.count() >= 3
    output = hidden.first.locator(".output").first
    assert not output.is_visible()
    hidden.first.locator("summary").press("Enter")
    assert output.is_visible()


@pytest.mark.parametrize("words", ["Rayleigh quotient", "divergence", "cold start"])
def test_search_finds_what_the_lessons_say(visit, words):
    page = visit(f"search.html?q={words.replace(' ', '+')}")
    page.wait_for_selector("#search-results li", timeout=15_000)


def test_every_link_inside_the_site_leads_somewhere(visit, address):
    for path in PAGES:
        page = visit(path)
        for target in page.locator("a[href]").evaluate_all("links => links.map(a => a.href)"):
            if target.startswith(address):
                file = HTML / re.sub(r"[#?].*", "", target.removeprefix(address)).lstrip("/")
                assert file.exists(), (path, target)


def test_the_cleared_notebook_has_no_outputs():
    for file in (HTML / "_downloads").rglob("*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert all(c["outputs"] == [] for c in code) or all(c["execution_count"] for c in code)
