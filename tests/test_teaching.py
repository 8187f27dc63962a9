"""The guide for lecturers and the README are true: minutes, questions, links, code."""

import ast
import re

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
from lesson_minutes import LESSONS, ROOT, TELL, current, in_class, renewed
from PIL import Image

GUIDE = (ROOT / "TEACHING.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
PAGES = ["README.md", "TEACHING.md", "CONTRIBUTING.md", "CHANGELOG.md"]


@pytest.mark.parametrize("path", TELL, ids=lambda path: path.name)
def test_the_minutes_are_those_of_the_lessons_as_they_are(path):
    assert path.read_text(encoding="utf-8") == current(path), "run `make minutes`"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["README.md", "TEACHING.md", "notebooks/00_start_here.ipynb"])
def test_every_lesson_has_a_row_with_its_minutes(name, path):
    if name.endswith(path.name):
        return  # lesson 0 does not list itself
    rows = [
        row for row in (ROOT / name).read_text(encoding="utf-8").split("\n") if path.name in row
    ]
    assert sum(f"{path.name}) |" in row for row in rows) == 1
    assert sum(f"| {in_class(path)} min |" in row for row in rows) == 1


def test_stale_minutes_are_renewed_wherever_they_stand():
    fresh = GUIDE + "In class it takes about 35 minutes."
    stale = re.sub(r"\b\d+( min(?:utes\.)?(?: \||$))", r"999\1", fresh)
    stale = re.sub(r"(\*\*\d\.)\d+(\*\* \")", r"\g<1>99\2", stale)
    assert len(re.findall("999", stale)) == len(LESSONS) + 7  # and six syllabi, and the head
    assert renewed(stale, own=35) == fresh
    assert "35" not in renewed("In class it takes about 35 minutes.", own=40)


def test_every_question_that_the_guide_names_is_in_its_lesson():
    named = re.findall(r'\*\*(\d)\.([\d?]+)\*\* "([^"]+)"', GUIDE)
    assert {int(lesson) for lesson, _, _ in named} == set(range(len(LESSONS)))
    assert [words for _, number, words in named if number == "?"] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target


def own_files():
    """Write small files of the kinds that the guide speaks of."""
    rng = np.random.default_rng(0)
    people = ["Ann", "Bob", "Dan", "Eve"]
    links = [f"{person},Joe" for person in people] + ["Joe,Eve"]
    ratings = [f"{person},book {i},{i % 5 + 1}" for person in people for i in range(12)]
    numbers = [f"{person},{i},{i % 5 + 1}" for person in range(4) for i in range(12)]
    counts = rng.poisson(np.repeat([[9, 9, 1, 1], [1, 1, 9, 9]], 8, axis=0))
    hours = 5 + np.sin(np.arange(42 * 24)[:, None] / [3, 4, 5]) + rng.normal(size=(42 * 24, 3))
    for name, rows in {
        "links.csv": ["from,to", *links],
        "ratings.csv": ["person,thing,rating", *ratings],
        "numbers.csv": ["person,thing,rating", *numbers],
        "counts.csv": ["red,blue,cat,dog", *(",".join(map(str, row)) for row in counts)],
        "table.csv": [",".join(map(str, row)) for row in rng.random((8, 6))],
        "hours.csv": ["north,south,west", *(",".join(map(str, row)) for row in hours)],
    }.items():
        with open(name, "w", encoding="utf-8") as file:
            file.write("\n".join(rows) + "\n")
    Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save("photo.jpg")


SAID = [
    r"^\['Joe' 'Eve'",  # whom everybody names, and whom that one names
    r"My photograph at the ranks \(5, 20, 30\)",
    r"^\['(red' 'blue|blue' 'red)'",
    r"^converged after.*\nconverged after.*\ndiverged .* is 3 × the critical",
    r"^0\.\d+ against 1\.4",
    r"season=7\) \d\.\d+\n.*season=7\) \d\.\d+$",
    r"^\[\[ ?-?\d\.\d+",
]


@pytest.mark.parametrize(("lesson", "said"), list(enumerate(SAID, start=1)))
def test_five_lines_bring_their_own_data_into_a_lesson(lesson, said, tmp_path, monkeypatch, capsys):
    """With the imports of the lesson and the two that the guide names; narrow enough for a page."""
    assert len(SNIPPETS) == len(LESSONS) - 1
    monkeypatch.chdir(tmp_path)
    own_files()
    source = "\n".join(
        cell.source
        for cell in nbformat.read(LESSONS[lesson], as_version=4).cells
        if cell.cell_type == "code"
    )
    imports = re.findall(r"(?m)^(?:import|from) [^(\n]*(?:\([^)]*\))?$", source)
    named = re.findall(r"`(from [^`]*)`", GUIDE)
    assert len(named) == 2
    with mpl.rc_context():
        exec("\n".join([*imports, *named, SNIPPETS[lesson - 1]]), {})
    assert re.search(said, capsys.readouterr().out.strip())
    assert len(ast.parse(SNIPPETS[lesson - 1]).body) <= 6
    assert max(map(len, SNIPPETS[lesson - 1].split("\n"))) <= 70
