"""More ratings than one machine holds: half steps from disk, and Apache Spark (lesson 7).

With V fixed, the rows of U are independent (`mflib.least_squares`): a block of rows needs its own
entries, and V. So the entries may stay on disk, and be read a block of rows at a time; or they are
spread over machines, and V travels. The first is here. For the second there is an engine, whose
`pyspark.ml.recommendation.ALS` lowers the objective of `CompletionProblem` with
`weighting="count"` and no biases, from a start of its own.

A table on disk is a folder with the three arrays of SciPy's CSR format, one file each:

    values, columns    of all entries, row by row
    starts             row i has the entries from starts[i] to starts[i + 1]

References
----------
Y. Zhou, D. Wilkinson, R. Schreiber and R. Pan, Large-scale parallel collaborative filtering for the
Netflix prize, AAIM, 2008.
M. Zaharia et al., Resilient distributed datasets: a fault-tolerant abstraction for in-memory
cluster computing, NSDI, 2012.
"""

import os
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from shutil import which
from threading import Event

import numpy as np
from scipy import sparse

from mflib import _validation as check
from mflib.factorization import Factors
from mflib.least_squares import ridge_rows
from mflib.nmf import with_data

PARTS = "values", "columns", "starts"  # of a table on disk
TWO_WORKERS = "local-cluster[2,1,1024]"  # two processes with one core and 1024 MB each
STAGES = 6  # of Spark's work that pass before a worker is killed
SETTINGS = {
    "spark.app.name": "mflib",
    "spark.default.parallelism": "4",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
}


def save_rows(rows: sparse.csr_array, folder: str | Path) -> None:
    """Write a table row by row, for `half_step_from_disk`.

    Parameters
    ----------
    rows : (m, n) sparse array in CSR format
        `by_row` of `ObservedEntries`; or `by_column`, for the half step of V.
    folder : path
        It is made if it is not there.
    """
    if not sparse.issparse(rows) or rows.format != "csr":
        raise ValueError(f"rows is a {type(rows).__name__}; a sparse array in CSR format is needed")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(PARTS, (rows.data, rows.indices, rows.indptr), strict=True):
        np.save(folder / f"{name}.npy", array)


def half_step_from_disk(
    folder: str | Path, V: np.ndarray, regularization: float, *, block: int = 10**6
) -> np.ndarray:
    """Return the best U for this V, reading the entries of some rows at a time.

    It is the half step of `als_steps` with `weighting="count"`, up to rounding. In memory are U, V,
    and about `block` entries, at most by a row more, with what is computed for them.

    Parameters
    ----------
    folder : path
        Written by `save_rows`.
    V : (n, k) array
        Its type, float32 or float64, is that of the arithmetic.
    regularization : float
        λ, at least 0; row i is penalised by λ times the number of its entries.
    block : int
        How many entries are read at a time.

    Returns
    -------
    (m, k) array

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> X = sparse.csr_array([[2.0, 4.0], [0.0, 3.0]])
    >>> with TemporaryDirectory() as folder:
    ...     save_rows(X, folder)
    ...     half_step_from_disk(folder, np.array([[1.0], [2.0]]), 0.0, block=1)
    array([[2. ],
           [1.5]])
    """
    V, block = check.floats(V, "V"), check.count(block, "block")
    regularization = check.non_negative(regularization, "regularization")
    parts = [np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in PARTS]
    shape = len(parts[-1]) - 1, len(V)
    table = sparse.csr_array(tuple(parts), shape=shape)  # which reads no entry yet
    U = np.empty((shape[0], V.shape[1]), V.dtype)
    edges = np.searchsorted(table.indptr, np.arange(0, table.nnz + 1, block))
    for first, end in pairwise(np.unique([*edges, shape[0]])):
        part = table[first:end]
        fits = part.indices.max(initial=0) < len(V)
        check.need(fits, f"V has shape {V.shape}", "a row for each column of the table")
        values = with_data(part, part.data.astype(V.dtype))  # part.astype would sum duplicates
        mask = with_data(part, np.ones_like(values.data))
        U[first:end] = ridge_rows(values, mask, V, regularization * np.diff(values.indptr))
    return U


def start_spark(master: str = TWO_WORKERS):
    """Start Apache Spark on this machine, quietly, and return its session.

    Parameters
    ----------
    master : str
        "local[2]" stands for two threads in one process. By default two processes: they can be lost
        as machines can.

    Returns
    -------
    pyspark.sql.SparkSession
        Its `stop()` ends the workers.

    Raises
    ------
    OSError
        If pyspark or Java is missing, or does not start.
    """
    if find_spec("pyspark") is None:
        raise OSError("pyspark is not installed (`make cluster` installs it)")
    if which("java") is None and "JAVA_HOME" not in os.environ:
        raise OSError("Spark needs Java 17, and there is no Java on this machine")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # all stays on this machine
    with warnings.catch_warnings(action="ignore"):  # of pyspark about other libraries
        import pyspark.ml.recommendation
        from pyspark.java_gateway import launch_gateway

        settings = pyspark.SparkConf().setAll(SETTINGS.items()).setMaster(master)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            gateway = pyspark.SparkContext._gateway or launch_gateway(settings, quiet)
            context = pyspark.SparkContext(gateway=gateway, conf=settings)
        except Exception as error:
            raise OSError(f"Spark did not start ({type(error).__name__}); is Java 17?") from error
        return pyspark.sql.SparkSession(context)


@contextmanager
def a_worker_is_killed(spark):
    """Kill a worker process while Spark works on what stands in this context.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        With workers that are processes of their own, as `start_spark` makes them.

    Raises
    ------
    RuntimeError
        At the end, if the work was done before.
    """
    process = spark._jvm.java.lang.ProcessHandle.current()
    if not process.children().count():
        raise ValueError(f"{spark.sparkContext.master} has no worker that is a process of its own")
    tracker, stages, done = spark.sparkContext.statusTracker(), set(), Event()

    def kill():
        while not done.wait(0.01):
            stages.update(tracker.getActiveStageIds())
            if stages and max(stages) - min(stages) >= STAGES:
                return process.children().findFirst().get().destroyForcibly()

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        try:
            yield
        finally:
            done.set()
    if not killed.result():
        raise RuntimeError(f"the work was done before {STAGES} stages had passed")


def factors_from_spark(model, shape: tuple[int, int]) -> Factors:
    """Return the factors that Spark has found.

    Parameters
    ----------
    model : pyspark.ml.recommendation.ALSModel
    shape : tuple of two int
        m and n. Rows and columns that Spark has not seen get zeros.

    Returns
    -------
    Factors
        Of type float32, as Spark's own.
    """
    factors = Factors(*(np.zeros((size, model.rank), np.float32) for size in shape))
    for table, side in zip(factors, (model.userFactors, model.itemFactors), strict=True):
        for place, row in side.toLocalIterator():
            table[place] = row
    return factors
