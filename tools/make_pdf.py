"""Print each lesson of the built site on A4, in site/_build/pdf.

    python tools/make_pdf.py             (`make pdf` builds the site first)

Chromium prints the page of the site. On the page answers are folded away; on paper they stand at
the end, each below its question's number. Folded drawings are printed, their code is not.
"""

import contextlib
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from make_site import BUILD, HTML, ROOT, lessons
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(ROOT / "tests/browser"))
from jlab import CHROMIUM, FLAGS

PDF = BUILD / "pdf"
MARGIN, WIDTH = 18, 210  # of A4, millimetres
FOOTER = """<div style="font-size: 8px; width: 100%; text-align: center">
<span class="title"></span>, page <span class="pageNumber"></span></div>"""
ARRANGE = """() => {
    const article = document.querySelector('article'), answers = document.createElement('section')
    answers.className = 'printed-answers'
    answers.innerHTML = '<h2>Answers</h2>'
    const named = [...article.querySelectorAll('strong')].filter(
        strong => /^(Question|Exercise)/.test(strong.textContent))
    for (const folded of article.querySelectorAll('details')) {
        folded.querySelector('summary').remove()
        if (folded.matches('.above-input')) folded.remove() // code that draws
        else if (folded.matches('.below-input')) folded.replaceWith(...folded.childNodes)
        else {
            const before = named.filter(strong => strong.compareDocumentPosition(folded)
                & Node.DOCUMENT_POSITION_FOLLOWING)
            const heading = document.createElement('h4')
            heading.textContent = before.at(-1)?.textContent ?? 'Answer'
            answers.append(heading, ...folded.childNodes)
            folded.remove()
        }
    }
    if (answers.childNodes.length > 1) article.append(answers)
}"""


@contextlib.contextmanager
def printed_page(browser) -> Iterator[Page]:
    """Give a page whose width is that of the paper within its margins."""
    page = browser.new_page(
        viewport={"width": int((WIDTH - 2 * MARGIN) * 96 / 25.4), "height": 1000}
    )
    page.emulate_media(media="print", color_scheme="light")
    yield page
    page.close()


def arrange(page: Page, path: Path) -> None:
    """Open the page of a notebook and arrange it for paper."""
    page.goto((HTML / "notebooks" / f"{path.stem}.html").as_uri())
    page.wait_for_function("() => window.MathJax?.startup?.promise")
    page.evaluate("async () => { await MathJax.startup.promise }")
    page.evaluate(ARRANGE)


def print_lesson(path: Path) -> str:
    """Print one lesson, and return a line that tells its file and size."""
    margin = dict.fromkeys(("top", "bottom", "left", "right"), f"{MARGIN}mm")
    file = PDF / f"{path.stem}.pdf"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with printed_page(browser) as page:
            arrange(page, path)
            page.pdf(
                path=file,
                format="A4",
                margin=margin,
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOTER,
                tagged=True,
                outline=True,
            )
        browser.close()
    return f"{file.relative_to(ROOT)}: {file.stat().st_size / 1e6:.1f} MB"


def main() -> None:
    """Print all lessons, two at a time."""
    PDF.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        for line in pool.map(print_lesson, lessons()):
            print(line)


if __name__ == "__main__":
    main()
