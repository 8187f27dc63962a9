"""How long a lesson takes in class, section by section.

    python tools/lesson_minutes.py notebooks/*.ipynb

Reading aloud goes at 130 words a minute, where a formula in the line counts as three words and a
displayed one as twenty; a question takes two minutes with its answer, an explorer three. Sections
whose heading ends in "(at home)", the exercises and what follows do not count.
"""

import re
import sys
from pathlib import Path

import nbformat

WORDS_A_MINUTE, QUESTION, EXPLORER = 130, 2, 3
NOT_READ = r"<details>.*?</details>|```.*?```|\]\([^)]*\)"
SPOKEN = {NOT_READ: " ", r"\$\$.*?\$\$": " word" * 20, r"\$[^$]*\$": " word" * 3}


def sections(notebook: nbformat.NotebookNode) -> list[tuple[str, float]]:
    """Return the heading and the minutes of each section that is taught in class."""
    found, at_home = [], False
    for cell in notebook.cells:
        is_prose = cell.cell_type == "markdown"
        for part in re.split(r"(?m)^(?=#{1,3} )", cell.source) if is_prose else [cell.source]:
            if is_prose and (heading := re.match(r"(#+) (.*)", part)):
                if len(heading[1]) < 3 or heading[2].endswith("(at home)"):
                    at_home = heading[2].endswith("(at home)")
                if heading[2] == "Exercises":
                    return found
                if len(heading[1]) < 3:
                    found.append([heading[2], 0.0])
            if part and not at_home:
                found[-1][1] += minutes(cell.cell_type, part)
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
