"""Build the static site from the committed notebooks, without running them and without a network.

    python tools/make_site.py            (`make site` fetches what it needs first)

The notebooks are the only source. On the way to the site each gets links to itself, and the output
that answers a question is folded until it is asked for. Explorers move without a kernel, by what
`draw_explorers.py` drew. The glossary is collected from the terms that the lessons print in bold
where they name them first.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from draw_explorers import panel, shown, write_front_end
from set_address import binder

ROOT = Path(__file__).parents[1]
SITE = ROOT / "site"
BUILD = SITE / "_build"
SOURCE, HTML = BUILD / "source", BUILD / "html"
VENDORED = BUILD / "vendored"  # MathJax, unpacked by the Makefile
# Answers, code, tables, displayed formulas and lists explain no term.
NOT_PROSE = r"<details>.*?</details>|```.*?```|^[|>-].*?$|\$\$.*?\$\$|^\d+\. .*?$|^#+ .*?$"
NO_TERM = re.compile(r"(Question|Exercise)s? .*|.*[.:?…,]|[^a-zA-Z]*|(\S+ ){4,}\S+|.* of ?")


def lessons() -> list[Path]:
    """Return the notebooks of all lessons, in order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def fold_answers(notebook: nbformat.NotebookNode) -> None:
    """Fold the output of the cell that a question asks about, unless it is an explorer."""
    asked = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            asked = "**Question" in cell.source or (asked and not cell.source.startswith("#"))
        elif asked and cell.outputs:
            if not shown(cell.source):
                cell.metadata.setdefault("tags", []).append("hide-output")
            asked = False


def set_panels(notebook: nbformat.NotebookNode) -> None:
    """Put a panel in the place of each explorer's picture."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and (explorer := shown(cell.source)):
            data = {"text/html": panel(explorer)}
            cell.outputs = [nbformat.v4.new_output("display_data", data)]


def links(notebook: str, address: dict) -> str:
    """Return the line of links below the title of a notebook (a path below notebooks/)."""
    name = notebook.rpartition("/")[2]
    found = [
        f"{{download}}`this notebook <full/{name}>`",
        f"{{download}}`without outputs <empty/{name}>`",
    ]
    if address["repository"]:
        found.append(f"[open in Binder]({binder(address, notebook)})")
    return "```{div} course-links\n" + " · ".join(found) + "\n```"


def cleared(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy without outputs, as a learner opens it."""
    notebook = nbformat.from_dict(json.loads(json.dumps(notebook)))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def terms(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Return the terms that a lesson prints in bold, each with the sentence that names it."""
    found = {}
    for cell in notebook.cells:
        if cell.cell_type != "markdown" or cell.source.startswith("# "):
            continue
        if cell.source.startswith("## Exercises"):
            break
        prose = re.sub(NOT_PROSE, "", cell.source, flags=re.DOTALL | re.MULTILINE)
        for sentence in re.split(r"(?<=[.:?])\s+(?=[A-Z*$])|\n\n", prose):
            for term in re.findall(r"\*\*([^*$]+)\*\*", sentence):
                if not NO_TERM.fullmatch(term):
                    found.setdefault(term[0].lower() + term[1:], " ".join(sentence.split()))
    return found


def glossary() -> str:
    """Return the page with each term, the sentence that names it first, and its lesson."""
    first = {}
    for path in lessons():
        for term, sentence in terms(nbformat.read(path, as_version=4)).items():
            first.setdefault(term, (sentence, path.name))
    lines = ["# Glossary", "", "Each term with the sentence in which a lesson names it first."]
    for term in sorted(first, key=str.lower):
        sentence, name = first[term]
        lines += ["", term, f": {sentence} ([lesson {int(name[:2])}](notebooks/{name}))"]
    return "\n".join(lines) + "\n"


def prepare() -> None:
    """Write the sources of the site into one folder."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(SITE, SOURCE, ignore=shutil.ignore_patterns("_build"))
    shutil.copytree(VENDORED / "mathjax", SOURCE / "_static/mathjax")
    write_front_end(SOURCE / "_static")
    address = json.loads((SITE / "address.json").read_text(encoding="utf-8"))
    for path in [*lessons(), *sorted((ROOT / "notebooks/solutions").glob("*.ipynb"))]:
        target = SOURCE / path.relative_to(ROOT)
        place = path.relative_to(ROOT / "notebooks").as_posix()
        for copies in ("full", "empty"):
            (target.parent / copies).mkdir(parents=True, exist_ok=True)
        notebook = nbformat.read(path, as_version=4)
        shutil.copy(path, target.parent / "full")
        nbformat.write(cleared(notebook), target.parent / "empty" / path.name)
        fold_answers(notebook)
        set_panels(notebook)
        head = notebook.cells[0]
        title, _, rest = head.source.partition("\n")
        head.source = f"{title}\n\n{links(place, address)}\n{rest}"
        nbformat.write(notebook, target)
    shutil.copy(ROOT / "TEACHING.md", SOURCE / "teaching.md")
    (SOURCE / "glossary.md").write_text(glossary(), encoding="utf-8")
    if not (HTML / "lite").is_dir():  # no link to what is not there
        index = SOURCE / "index.md"
        text = re.sub(r"\*\*Experimental.*?\n\n", "", index.read_text("utf-8"), flags=re.DOTALL)
        index.write_text(text, encoding="utf-8")


def main() -> int:
    """Build the site and return Sphinx's exit code; a warning is an error."""
    prepare()
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    return subprocess.run([*command, SOURCE, HTML], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
