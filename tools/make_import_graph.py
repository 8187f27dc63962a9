"""Write data/python_imports.csv: which module of Python's standard library imports which.

A package counts as one module, whatever its submodules import. Every import statement counts, also
inside functions and conditions; relative imports stay inside their package and do not.

    python tools/make_import_graph.py
"""

import ast
import csv
import platform
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "data" / "python_imports.csv"
NAMES = sys.stdlib_module_names - {"idlelib", "lib2to3", "test", "turtledemo"}


def sources(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield (module, file) for every Python file of the standard library except its tests."""
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[0] in NAMES and not {"test", "tests"}.intersection(parts):
            yield parts[0], path


def imports(source: bytes) -> Iterator[str]:
    """Yield the top-level name of every absolute import in a source text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


def main() -> None:
    """Collect the links, write them in alphabetical order and count them."""
    links = {
        (importer, imported)
        for importer, path in sources(Path(sysconfig.get_path("stdlib")))
        for imported in imports(path.read_bytes())
        if imported in NAMES and imported != importer
    }
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["importer", "imported"])
        writer.writerows(sorted(links))
    modules = {name for link in links for name in link}
    print(f"Python {platform.python_version()}: {len(modules)} modules, {len(links)} links")


if __name__ == "__main__":
    main()
