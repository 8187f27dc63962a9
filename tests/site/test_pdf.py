"""The lessons on paper (`make pdf`): nothing is cut, and the answers stand at the end."""

import nbformat
import pytest
from make_pdf import PDF, arrange, printed_page
from test_site import NOTEBOOKS

CUT = """() => [...document.querySelectorAll('article :is(pre, img, table, mjx-container)')]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1
        || element.matches('.cell_input pre') && element.scrollWidth > element.clientWidth)
    .map(element => element.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_is_cut_and_the_answers_stand_at_the_end(browser, path):
    prose = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    with printed_page(browser) as page:
        arrange(page, path)
        page.add_style_tag(content="@media print { .cell_input pre { white-space: pre } }")
        assert page.evaluate(CUT) == []
        answers = page.locator("article > :last-child")
        assert answers.locator("h4").count() == prose.count("<details>")
        assert page.locator("details").count() == 0
    assert (PDF / f"{path.stem}.pdf").read_bytes().startswith(b"%PDF")
