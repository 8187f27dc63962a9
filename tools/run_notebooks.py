"""Run notebooks from top to bottom and write them byte-reproducibly.

    python tools/run_notebooks.py notebooks/*.ipynb

Two runs give the same bytes: there are no timestamps, no random identifiers and no widget state in
the file. An explorer is kept as its picture and its state in words; its controls come to life when
the notebook runs.

A cell with the tag `hide-input` only draws: JupyterLab and the site fold its code.

A cell with the tag `real-data` needs a download, one with the tag `spark` needs Apache Spark. Where
that cannot be had it says "Skipped", and the outputs that are stored stay; the cells concerned are
named.
"""

import glob
import sys
from copy import deepcopy
from pathlib import Path

import nbformat
from nbclient import NotebookClient

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MAY_LACK = {"real-data", "spark"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"  # holds the random id of a live widget


def normalise(notebook: nbformat.NotebookNode) -> str:
    """Return the text of an executed notebook without anything that differs from run to run."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "slideshow")}
        if "hide-input" in cell.metadata.get("tags", ()):
            cell.metadata["jupyter"] = {"source_hidden": True}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def keep_what_is_stored(
    notebook: nbformat.NotebookNode, stored: nbformat.NotebookNode
) -> list[str]:
    """Put back the outputs of cells that lacked what they need, and return the ids of those."""
    lacking = [
        (new, old)
        for new, old in zip(notebook.cells, stored.cells, strict=True)
        if MAY_LACK & set(new.metadata.get("tags", ()))
        and any(output.get("text", "").startswith("Skipped") for output in new.outputs)
    ]
    for new, old in lacking:
        if old.outputs:
            new.outputs = old.outputs
    return [new.id for new, _ in lacking]


def run(path: Path) -> None:
    """Execute one notebook in its own folder and write it back."""
    notebook = nbformat.read(path, as_version=4)
    stored = deepcopy(notebook)
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
    lacking = keep_what_is_stored(notebook, stored)
    path.write_text(normalise(notebook), encoding="utf-8", newline="\n")
    print("ran", path)
    if lacking:
        print("    what they need is missing, stored outputs kept:", ", ".join(lacking))


if __name__ == "__main__":
    for pattern in sys.argv[1:]:
        for name in sorted(glob.glob(pattern)):  # the shell of Windows leaves * alone
            run(Path(name))
