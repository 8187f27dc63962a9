"""Make the learner's own copy of the course: my_course/, without outputs, free to write in.

    python tools/make_copies.py                 make the copies, or bring them up to date
    python tools/make_copies.py --restore 03    give lesson 3 back as it is in the course

A copy has no outputs, so that a question stands before its answer. It lies as deep as its original,
so that links lead to the same places.

A copy is edited if its cells say something else than when they were handed out. To run, fold or add
empty cells is not to edit. An edited copy is never written to; if the course has a newer version,
one line says so. Other copies follow the course and lose no more than outputs. What was handed out
stands in my_course/.handed_out.json; without that file, a copy that differs counts as edited.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ".handed_out.json"  # for each file: checksums of what its cells said, and of all of it


def handout(path: Path) -> bytes:
    """Return what a learner gets: a notebook without outputs, any other file as it is."""
    content = path.read_bytes()
    if path.suffix != ".ipynb":
        return content
    notebook = json.loads(content)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def sources(content: bytes) -> str:
    """Return a checksum of what the cells of a notebook say; empty ones say nothing."""
    try:
        cells = [
            (cell["cell_type"], "".join(cell["source"])) for cell in json.loads(content)["cells"]
        ]
        content = json.dumps([cell for cell in cells if cell[1].strip()]).encode()
    except (KeyError, TypeError, ValueError):
        pass  # no notebook, or a damaged one: its bytes must do
    return sha256(content).hexdigest()


def update(originals: Path, copies: Path) -> list[str]:
    """Bring the copies up to date with the originals, and return the lines to be said."""
    files, handed, written, left = _files(originals), _handed_out(copies), [], []
    for name, path in files.items():
        content, copy, before = handout(path), copies / name, handed.get(name)
        now = [sources(content), sha256(content).hexdigest()]
        mine = sources(copy.read_bytes()) if copy.is_file() else None
        if mine is None or (before != now and before and mine == before[0]):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
            written.append(name)
            handed[name] = now
        elif mine == now[0]:
            handed[name] = now
        elif before != now:
            left.append(f"{name} has changed in the course; yours is edited and left alone")
    for name in handed.keys() - files.keys():
        copy, before = copies / name, handed.pop(name)
        if copy.is_file() and sources(copy.read_bytes()) == before[0]:
            copy.unlink()
        elif copy.is_file():
            left.append(f"{name} is no longer in the course; yours is edited and left alone")
    (copies / MANIFEST).write_text(json.dumps(handed, indent=1), encoding="utf-8")
    return [f"Files written to {copies.name}: {len(written)}"] * bool(written) + sorted(left)


def restore(originals: Path, copies: Path, lesson: str = "") -> list[str]:
    """Give one lesson back as it is in the course; keep an edited copy under another name."""
    names = list(_files(originals))
    found = [name for name in names if lesson and name.startswith(lesson.zfill(2))]
    if len(found) != 1:
        known = ", ".join(name.partition("_")[0] for name in names)
        raise SystemExit(f"No lesson is called {lesson!r}; there are {known}")
    (name,) = found
    copy, said = copies / name, f"{name} is as in the course"
    handed = {sources(handout(originals / name)), *_handed_out(copies).get(name, [])}
    if copy.is_file() and sources(copy.read_bytes()) not in handed:
        others = (copy.with_suffix(f".mine-{n}{copy.suffix}") for n in range(1, 1000))
        kept = copy.rename(next(path for path in others if not path.exists()))
        said += f"; what you wrote is in {kept.name}"
    copy.unlink(missing_ok=True)
    return [said, *update(originals, copies)[1:]]


def _files(folder):
    """Return the path of each file by its name below the folder, but for hidden ones."""
    paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    seen = [name for name in paths if not any(part.startswith(".") for part in name.parts)]
    return {name.as_posix(): paths[name] for name in seen}


def _handed_out(copies):
    try:
        return json.loads((copies / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


if __name__ == "__main__":
    action = restore if "--restore" in sys.argv else update
    for line in action(ROOT / "notebooks", ROOT / "my_course", *sys.argv[2:]):
        print(line)
