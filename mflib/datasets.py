"""The data of the lessons, in three families of functions.

    load_*     reads what ships with the course or with scikit-learn
    make_*     generates data with a known ground truth, from a seed
    fetch_*    downloads once and keeps a copy

So far there is only `load_*`. What ships is described in data/README.md, file by file: its source,
how it was made, its licence and its checksum.
"""

from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch

__all__ = ["load_import_graph"]


def load_import_graph() -> Bunch:
    """Load the import graph of Python's standard library (lesson 1).

    Returns
    -------
    Bunch
        names : list of n str
            The modules, in alphabetical order. A package counts as one module.
        links : (n, n) scipy.sparse.csr_array of float
            `links[i, j]` is 1 if module i imports module j, else 0. The diagonal is 0.
        DESCR : str
            Where the data come from, and their licence.

    Examples
    --------
    >>> graph = load_import_graph()
    >>> graph.links.shape
    (290, 290)
    >>> json, re = graph.names.index("json"), graph.names.index("re")
    >>> print(graph.links[json, re], graph.links[re, json])  # json imports re
    1.0 0.0
    """
    path = data_path("python_imports.csv")
    pairs = np.loadtxt(path, dtype=str, delimiter=",", skiprows=1, encoding="utf-8")
    names = np.unique(pairs)
    importers, imported = np.searchsorted(names, pairs).T
    links = sparse.csr_array(
        (np.ones(len(pairs)), (importers, imported)), shape=(names.size, names.size)
    )
    return Bunch(names=names.tolist(), links=links, DESCR=_description(path.name))


def data_path(name: str) -> Path:
    """Return the path of a file that ships: in mflib/data of a wheel, in ../data of a checkout.

    Parameters
    ----------
    name : str
        The name of the file, without a folder.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no data at all.

    Examples
    --------
    >>> data_path("python_imports.csv").name
    'python_imports.csv'
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "data", here.parent / "data"):
        if (folder / "README.md").is_file():
            break
    else:
        raise FileNotFoundError("the data of mflib are missing; install mflib again")
    known = sorted(path.name for path in folder.iterdir() if path.is_file())
    if name not in known:
        raise FileNotFoundError(f"mflib has no data file {name!r}; it has {', '.join(known)}")
    return folder / name


def _description(name: str) -> str:
    """Return the section on one file in data/README.md."""
    sections = data_path("README.md").read_text(encoding="utf-8").split("\n## ")
    return next(section for section in sections if section.startswith(f"{name}\n"))
