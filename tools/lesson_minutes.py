"""How long a lesson takes in class, section by section.

    python tools/lesson_minutes.py notebooks/*.ipynb

Reading aloud goes at 130 words a minute, where a formula in the line counts as three words and a
displayed one as twenty; a question takes two minutes with its answer, an explorer three. Sections
whose heading ends in "(at home)", the exercises and what follows do not count.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

WORDS_A_MINUTE, QUESTION, EXPLORER = 130, 2, 3
NOT_READ = r"<details>.*?</details>|```.*?```|\]\([^)]*\)"
SPOKEN = {NOT_READ: " ", r"\$\$.*?\$\$": " word" * 20, r"\$[^$]*\$": " word" * 3}


def taught(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    """Yield the cells that are taught in class: neither at home nor exercises and what follows."""
    home_level = 0
    for cell in notebook.cells:
        heading = re.match(r"(#+) (.*)", cell.source) if cell.cell_type == "markdown" else None
        if heading and heading[2] == "Exercises":
            return
        if heading and (not home_level or len(heading[1]) <= home_level):
            home_level = len(heading[1]) if heading[2].endswith("(at home)") else 0
        if not home_level:
            yield cell


def sections(notebook: nbformat.NotebookNode) -> list[tuple[str, float]]:
    """Return the heading and the minutes of each section that is taught in class."""
    found = []
    for cell in taught(notebook):
        heading = re.match(r"##? (.*)", cell.source) if cell.cell_type == "markdown" else None
        if heading:
            found.append([heading[1], 0.0])
        found[-1][1] += minutes(cell.cell_type, cell.source)
    return found


def minutes(kind: str, source: str) -> float:
    """Return the minutes that a piece of a lesson takes."""
    if kind == "code":
        return EXPLORER * source.count("Explorer().show()")
    questions = len(re.findall(r"\*\*Question \d+\.", source))
    for written, said in SPOKEN.items():
        source = re.sub(written, said, source, flags=re.DOTALL)
    words = re.findall(r"[A-Za-z][\w'’–-]*", source)
    return len(words) / WORDS_A_MINUTE + QUESTION * questions


def in_class(path: Path) -> int:
    """Return the minutes that a lesson takes in class, rounded up to five."""
    total = sum(time for _, time in sections(nbformat.read(path, as_version=4)))
    return -(-round(total) // 5) * 5


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"\n{name}: {in_class(Path(name))} minutes")
        for heading, time in sections(nbformat.read(name, as_version=4)):
            if time >= 0.5:
                print(f"    {time:4.0f}  {heading}")
