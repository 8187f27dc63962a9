"""Run the benchmarks and write their tables to RESULTS.md.

    python benchmarks/run.py [svd nmf completion costs parallel growth cluster]

Without names all are run, which takes about half an hour. Tables of benchmarks that are not run
stay as they are.
"""

import importlib
import re
import sys
from pathlib import Path

from measure import machine, show
from threadpoolctl import threadpool_limits

RESULTS = Path(__file__).with_name("RESULTS.md")
NAMES = ["svd", "nmf", "completion", "costs", "parallel", "growth", "cluster"]
HEAD = """# Benchmarks

CPU seconds of one thread, in turns, in one process; a ratio above 1 says how many times faster
mflib is. Written by `make bench`.
"""


def section(name: str) -> str:
    """Run one benchmark and return its part of the document."""
    module = importlib.import_module(name)
    title, _, about = module.__doc__.partition("\n")
    print(f"\n{title}")
    about = re.sub(r"\n +python .*", "", about).strip()
    with threadpool_limits(1):
        lines = list(module.table()) if hasattr(module, "table") else show(module.rows())
    return f"## {title}\n\n{about}\n\n" + "\n".join(lines) + f"\n\nOn {machine()}.\n"


def main(names: list[str]) -> None:
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    parts = dict(re.findall(r"<!-- (\w+) -->\n(.*?)(?=<!-- |\Z)", text, flags=re.DOTALL))
    for name in names or NAMES:
        parts[name] = section(name)
        found = [f"<!-- {key} -->\n{parts[key].strip()}\n" for key in NAMES if key in parts]
        RESULTS.write_text("\n".join([HEAD, *found]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
