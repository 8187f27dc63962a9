"""Run notebooks from top to bottom and write them byte-reproducibly.

    python tools/run_notebooks.py notebooks/*.ipynb

Two runs give the same bytes: there are no timestamps, no random identifiers and no widget state in
the file. An explorer is kept as its picture and its state in words; its controls come to life when
the notebook runs.
"""

import glob
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"  # holds the random id of a live widget


def normalise(notebook: nbformat.NotebookNode) -> str:
    """Return the text of an executed notebook without anything that differs from run to run."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "slideshow")}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def run(path: Path) -> None:
    """Execute one notebook in its own folder and write it back."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    path.write_text(normalise(notebook), encoding="utf-8", newline="\n")
    print("ran", path)


if __name__ == "__main__":
    for pattern in sys.argv[1:]:
        for name in sorted(glob.glob(pattern)):  # the shell of Windows leaves * alone
            run(Path(name))
