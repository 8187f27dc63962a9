"""How long a lesson takes in class, section by section.

    python tools/lesson_minutes.py notebooks/*.ipynb     print them
    python tools/lesson_minutes.py --write               renew them wherever they are written

Reading aloud goes at 130 words a minute, where a formula in the line counts as three words and a
displayed one as twenty; a question takes two minutes with its answer, an explorer three. Sections
whose heading ends in "(at home)", the exercises and what follows do not count.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TELL = [ROOT / "README.md", ROOT / "TEACHING.md", *LESSONS]  # they name the minutes
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


def table() -> str:
    """Return the table of the sections of all lessons, in Markdown."""
    rows = ["| lesson | in class | minutes of each section |", "|---|---|---|"]
    for path in LESSONS:
        (title, first), *parts = sections(nbformat.read(path, as_version=4))
        named = [f"opening **{first:.0f}**"] * (first >= 0.5)
        named += [f"{heading} **{time:.0f}**" for heading, time in parts if time >= 0.5]
        number = "" if title[0].isdigit() else f"{int(path.name[:2])}. "
        link = f"[{number}{title}](notebooks/{path.name})"
        rows.append(f"| {link} | {in_class(path)} min | {' · '.join(named)} |")
    return "\n".join(rows) + "\n"


def question(row: re.Match) -> str:
    """Return how TEACHING.md names a question, with its number found by the words quoted."""
    source = "\n".join(cell.source for cell in nbformat.read(LESSONS[int(row[1])], 4).cells)
    asked = re.findall(r"\*\*Question (\d+)\.\*\*(.*)", source)
    numbers = [number for number, words in asked if row[2] in words]
    return f'| **{row[1]}.{numbers[0] if len(numbers) == 1 else "?"}** "{row[2]}"'


def renewed(text: str, own: int | None = None) -> str:
    """Return a text of the course with the minutes of the lessons as they are now.

    They stand in the row of a lesson ("| 40 min |"), in the row of a syllabus ("| 0 · 1 | 60 min"),
    in the table of sections, and at the head of a lesson, which takes `own` minutes. The numbers of
    the questions are renewed, too; one whose words stand in no question becomes "?".
    """
    lengths = [in_class(path) for path in LESSONS]
    text = re.sub(r"(?s)(<!-- minutes -->\n).*?(<!--)", lambda m: m[1] + table() + m[2], text)
    for path, time in zip(LESSONS, lengths, strict=True):
        text = re.sub(rf"({path.name}\) \|[^\n]*?)\b\d+ min \|", rf"\g<1>{time} min |", text)

    def syllabus(row: re.Match) -> str:
        return f"| {row[1]} | {sum(lengths[int(number)] for number in row[1].split(' · '))} min |"

    text = re.sub(r"\| (\d(?: · \d)*) \| \d+ min \|", syllabus, text)
    text = re.sub(r'\| \*\*(\d)\.[\d?]+\*\* "([^"]+)"', question, text)
    if own is not None:
        text = re.sub(r"(In class it takes about )\d+", rf"\g<1>{own}", text)
    return text


def current(path: Path) -> str:
    """Return what a file of `TELL` should say."""
    text = path.read_text(encoding="utf-8")
    return renewed(text, in_class(path) if path in LESSONS else None)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        for path in TELL:
            path.write_text(current(path), encoding="utf-8", newline="\n")
        raise SystemExit
    for name in sys.argv[1:]:
        print(f"\n{name}: {in_class(Path(name))} minutes")
        for heading, time in sections(nbformat.read(name, as_version=4)):
            if time >= 0.5:
                print(f"    {time:4.0f}  {heading}")
