"""Make reveal.js slides of the class part of each lesson, in site/_build/html/slides.

    python tools/make_slides.py          (`make slides` fetches what it needs first)

No metadata in the notebooks are needed: a heading starts a column, a question is a slide and its
answer a fragment of it, a picture or an explorer is a slide with what is said before it as its
caption, and code is folded. Long prose is spread over several slides.
"""

import html
import re
import shutil
from pathlib import Path

import nbformat
from draw_explorers import panel, shown, write_front_end
from lesson_minutes import taught
from nbconvert.filters import ansi2html, markdown2html

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "site/_build"
SLIDES, VENDORED = BUILD / "html/slides", BUILD / "vendored"
FULL = 80  # words on a slide, a displayed formula counting as fourteen

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="../_static/favicon.svg">
<link rel="stylesheet" href="reveal/reveal.css">
<link rel="stylesheet" href="reveal/theme/white.css">
<link rel="stylesheet" href="panel.css">
<link rel="stylesheet" href="slides.css">
<script>
MathJax = {{
  tex: {{inlineMath: [["$", "$"]], displayMath: [["$$", "$$"]]}},
  options: {{skipHtmlTags: ["script", "style", "pre", "code"]}},
}};
</script>
<script src="mathjax/tex-mml-chtml.js" defer></script>
</head>
<body>
<div class="reveal"><div class="slides">
{columns}
</div></div>
<script src="explorers.js"></script>
<script src="reveal/reveal.js"></script>
<script>
Reveal.initialize({{
  width: 1280, height: 720, margin: 0.02, hash: true, slideNumber: "c/t", transition: "none",
  center: false,
}});
</script>
</body>
</html>
"""

STYLE = """
.reveal { font-size: 36px; }
.reveal .slides { text-align: left; }
.reveal h1, .reveal h2, .reveal h3 { text-transform: none; font-size: 1.5em; margin: 0 0 0.6em; }
.reveal h1 { font-size: 1.9em; }
.reveal p, .reveal ul, .reveal ol { margin: 0 0 0.6em; line-height: 1.35; }
.reveal ul, .reveal ol { display: block; }
.reveal pre { width: 100%; box-sizing: border-box; margin: 0.3em 0; box-shadow: none; }
.reveal pre { font-size: 0.66em; line-height: 1.3; }
.reveal pre.output { background: #f5f5f5; padding: 0.5em; white-space: pre-wrap; }
.reveal table { font-size: 0.62em; display: block; overflow-x: auto; }
.reveal mjx-container[display="true"] { overflow-x: auto; overflow-y: hidden; padding: 2px 0; }
.reveal summary { font-size: 0.6em; color: #666; cursor: pointer; }
.reveal figure { margin: 0; text-align: center; }
.reveal figure img { max-width: 100%; max-height: 540px; margin: 0; }
.reveal p, .reveal li { overflow-wrap: anywhere; }
.reveal .slides p { overflow-x: auto; overflow-y: hidden; }
.reveal .mflib-explorer { zoom: 1.15; }
.reveal .mflib-explorer p { margin: 0; line-height: 1.4; overflow: visible; }
.reveal .caption { font-size: 0.85em; }
.reveal .answer { border-left: 4px solid #0072b2; padding-left: 0.7em; font-size: 0.85em; }
"""


class Deck:
    """Slides of a lesson as columns, filled one block after the other."""

    def __init__(self):
        self.columns, self.room = [], 0

    def slide(self, column: bool = False) -> None:
        """Start a slide, in a new column or below."""
        if column or not self.columns:
            self.columns.append([""])
        elif self.columns[-1][-1]:
            self.columns[-1].append("")
        self.room = FULL

    def add(self, block: str, size: int) -> None:
        """Put a block on the slide, or on the next one if it would not fit."""
        if size > self.room and self.columns[-1][-1]:
            self.slide()
        self.columns[-1][-1] += block
        self.room -= size


def size(text: str) -> int:
    """Return how much room a block of Markdown takes, in words."""
    text, n_formulas = re.subn(r"\$\$.*?\$\$", " ", text, flags=re.DOTALL)
    n_lines = len(re.findall(r"(?m)^(?:\||- |\d+\. |#)", text))
    return len(re.sub(r"\$[^$]*\$", " x x ", text).split()) + 14 * n_formulas + 4 * n_lines


def to_html(text: str) -> str:
    """Return Markdown as HTML, without the signs that link to headings."""
    return re.sub(r'<a class="anchor-link".*?</a>', "", markdown2html(text))


def blocks(prose: str) -> list[str]:
    """Return paragraphs and long list items; what ends in a colon stays with what follows."""
    found = []
    for block in re.split(r"\n{2,}|\n(?=- .{60})", prose.strip()):
        before = found[-1] if found else ""
        joined = before.endswith((":", ",", "can")) or re.fullmatch("#.*", before)
        if joined or (block.startswith("$$") and 0 < size(before) < 50):
            found[-1] += "\n\n" + block
        else:
            found.append(block)
    return found


def add_prose(deck: Deck, source: str) -> None:
    """Put a prose cell on slides; a question starts one, its answer appears when asked for."""
    prose, _, answer = source.partition("<details>")
    answer = re.sub(r"<summary>.*?</summary>|</details>", "", answer).strip()
    for block in blocks(prose):
        if "**Question" in block and not block.startswith("#"):
            deck.slide()
        deck.add(to_html(block), size(block))
    for block in blocks(answer) if answer else ():
        deck.add(f'<div class="answer fragment">{to_html(block)}</div>', int(0.75 * size(block)))


def add_code(deck: Deck, cell: nbformat.NotebookNode, caption: str) -> None:
    """Put what a code cell prints and draws on slides, its code folded."""
    explorer = shown(cell.source)
    code = f"<details><summary>code</summary><pre>{html.escape(cell.source)}</pre></details>"
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            alt = html.escape(output.metadata["image/png"]["alt"], quote=True)
            source = f"data:image/png;base64,{data['image/png']}"
            deck.slide()
            deck.add(f'<div class="caption">{to_html(caption)}</div>' if caption else "", 0)
            picture = f'<figure><img src="{source}" alt="{alt}"></figure>'
            deck.add(panel(explorer) if explorer else picture, 0)
            deck.room = 0
        elif output.get("name") == "stdout":
            printed = f'<pre class="output">{ansi2html(output.text)}</pre>'
            deck.add(code + printed, 6 + 6 * output.text.count("\n"))


def columns(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """Return the slides of a lesson, a list a column."""
    deck, caption = Deck(), ""
    for cell in taught(notebook):
        if cell.cell_type == "code":
            add_code(deck, cell, caption)
            continue
        if cell.source.startswith(("# ", "## ", "### ")) or "**Question" in cell.source:
            deck.slide(column=cell.source.startswith(("# ", "## ")))
        add_prose(deck, cell.source)
        last = cell.source.rsplit("\n\n", 1)[-1]
        caption = last if size(last) < 30 and not re.search("details|Question|^#", last) else ""
    return deck.columns


def write(path: Path) -> None:
    """Write the slides of one lesson."""
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(
        "<section>" + "".join(f"<section>{slide}</section>\n" for slide in column) + "</section>"
        for column in columns(notebook)
    )
    title = notebook.cells[0].source.partition("\n")[0].lstrip("# ")
    page = PAGE.format(title=html.escape(title), columns=text)
    (SLIDES / f"{path.stem}.html").write_text(page, encoding="utf-8")


def main() -> None:
    """Write the slides of all lessons, with everything they need beside them."""
    shutil.rmtree(SLIDES, ignore_errors=True)
    SLIDES.mkdir(parents=True)
    for name in ("mathjax", "reveal"):
        shutil.copytree(VENDORED / name, SLIDES / name)
    (SLIDES / "slides.css").write_text(STYLE, encoding="utf-8")
    write_front_end(SLIDES)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        write(path)


if __name__ == "__main__":
    main()
