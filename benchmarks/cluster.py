"""The laptop, the disk and Apache Spark from a hundred thousand to ten million ratings.

Each cell is a process of its own, with k = 16 factors, 100 ratings a row and 500 a column on
average; few films have most of them. CPU seconds of all processes: until Spark answers, from a file
of the ratings (from their two orders, for the disk) to the factors after the first step, and a
further step; of this last the part of the busiest worker and of Spark's driver, and how long it
took. Steps come from the difference of a long and a short fit. Travel is what a half step for U
reads of V, and the other way round. Memory is that of all processes, above one that has only
imported everything; for the laptop and the disk it is the peak.

One thread on the laptop; a worker of Spark is a process with one core, and each side has 4 blocks.

    python benchmarks/cluster.py [largest number of ratings]
"""

import csv
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter, process_time

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from mflib import completion
from mflib.completion import cluster

K, STRENGTH = 16, 0.1
DATA = Path(__file__).resolve().parents[1] / "data" / "cluster_times.csv"
FIELDS = ["engine", "ratings", "start_up", "first", "step", "busiest", "driver", "elapsed"]
FIELDS += ["travel_V", "travel_U", "megabytes"]
LIMIT = "300"  # megabytes
METHODS = ["laptop", "laptop, compiled", "disk", "Spark, 1 worker", "Spark, 2 workers"]


def ratings(n):
    """Return pairs and values: people at random, films the more often the smaller their number."""
    rng = np.random.default_rng(0)
    m, n_films = max(2, n // 100), max(2, n // 500)
    films = (n_films * rng.random(n) ** 2).astype(np.int32)
    pairs = np.column_stack([rng.integers(0, m, n, dtype=np.int32), films])
    return pairs, rng.normal(3, 1, n).astype(np.float32)


def prepare(n, folder):
    """Write the ratings as Spark reads them, as NumPy does, and in their two orders."""
    pairs, values = ratings(n)
    table = pd.DataFrame({"row": pairs[:, 0], "column": pairs[:, 1], "value": values})
    table.to_csv(f"{folder}/ratings.csv", header=False, index=False)
    np.save(f"{folder}/pairs.npy", pairs)
    np.save(f"{folder}/ratings.npy", values)
    entries = completion.ObservedEntries(pairs, values)
    cluster.save_rows(entries.by_row, f"{folder}/rows")
    cluster.save_rows(entries.by_column, f"{folder}/columns")


def memory(pid="self"):
    """Return the megabytes of a process that are not shared with files, now."""
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines.get("RssAnon", "0").split()[0]) / 1024  # a process that has ended has none


def laptop(folder, n_steps, solver):
    pairs, values = (np.load(f"{folder}/{name}.npy") for name in ("pairs", "ratings"))
    options = {"dtype": np.float32, "biases": False, "random_state": 0, "solver": solver}
    completion.ALS(K, regularization=STRENGTH, max_iter=n_steps, **options).fit(pairs, values)


def from_disk(folder, n_steps):
    starts = np.load(f"{folder}/columns/starts.npy", mmap_mode="r")
    V = 0.01 * np.random.default_rng(0).standard_normal((len(starts) - 1, K), np.float32)
    for _ in range(n_steps):
        U = cluster.half_step_from_disk(f"{folder}/rows", V, STRENGTH)
        V = cluster.half_step_from_disk(f"{folder}/columns", U, STRENGTH)


def seconds(pids):
    """Return the CPU seconds of processes so far."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    ticks = [int(field[11]) + int(field[12]) for field in fields]
    return np.array(ticks) / os.sysconf("SC_CLK_TCK")


def spark_cell(folder, n_workers, more):
    logs = {"enabled": "true", "dir": folder, "rolling.enabled": "false", "compress": "false"}
    cluster.SETTINGS |= {f"spark.eventLog.{name}": value for name, value in logs.items()}
    spark = cluster.start_spark(f"local-cluster[{n_workers},1,4096]")
    from pyspark.ml.recommendation import ALS

    spark.range(10).count()  # now the workers are there
    driver = spark._jvm.java.lang.ProcessHandle.current()
    pids = [driver.pid(), *(worker.pid() for worker in driver.children().toArray())]
    start_up = seconds(pids).sum()
    columns = {"userCol": "row", "itemCol": "column", "ratingCol": "value"}
    als = ALS(rank=K, regParam=STRENGTH, seed=0, **columns).setNumUserBlocks(4).setNumItemBlocks(4)
    frame = spark.read.csv(f"{folder}/ratings.csv", "row int, column int, value float")

    def fit(n_steps):
        """Return CPU seconds of the driver and of each worker, and how long it took."""
        before, begin = seconds(pids), perf_counter()
        als.setMaxIter(n_steps).fit(frame)
        return np.append(seconds(pids) - before, perf_counter() - begin)

    first = fit(1)[:-1].sum()
    short, long = fit(1), fit(1 + more)
    of_driver, *of_workers, elapsed = (long - short) / more
    step, busiest = of_driver + sum(of_workers), max(of_workers)
    megabytes = sum(map(memory, pids))
    spark.stop()
    (log,) = Path(folder).glob("app-*")  # it has its name when it is closed
    travel = travelled(log)
    log.unlink()
    return start_up, first, step, busiest, of_driver, elapsed, *travel, megabytes


def travelled(log):
    """Return the bytes that the last two half steps read, the smaller number first."""
    events = list(map(json.loads, log.read_text(encoding="utf-8").splitlines()))
    stages = [e["Stage Info"] for e in events if e["Event"].endswith("StageCompleted")]
    halves = sorted(s["Stage ID"] for s in stages if s["Stage Name"].startswith("flatMap at ALS"))
    read = dict.fromkeys(halves[-2:], 0)
    for event in events:
        if event["Event"].endswith("TaskEnd") and event["Stage ID"] in read:
            reads = event["Task Metrics"]["Shuffle Read Metrics"]
            read[event["Stage ID"]] += reads["Remote Bytes Read"] + reads["Local Bytes Read"]
    return sorted(read.values())


def cell(method, n, folder):
    """Return the numbers of one row of `FIELDS`."""
    if method.startswith("Spark"):
        return spark_cell(folder, int(method.split()[1]), more=6)
    more = 4 if n < 10**7 else 2
    solver = "compiled" if "compiled" in method else "numpy"
    fit = from_disk if method == "disk" else lambda *args: laptop(*args, solver)
    if solver == "compiled":
        completion.ALS(2, solver=solver, dtype=np.float32).fit([[0, 0], [1, 1]], [1.0, 2.0])
    idle, work = memory(), []
    for n_steps in (1, 1, 1 + more, 1 + more):
        begin = process_time(), perf_counter()
        fit(folder, n_steps)
        work.append((process_time() - begin[0], perf_counter() - begin[1]))
    short, long = np.minimum(*work[:2]), np.minimum(*work[2:])
    step, elapsed = (long - short) / more
    return 0, short[0], step, step, 0, elapsed, 0, 0, peak_of(folder, method, idle)


def peak_of(folder, method, idle):
    """Return by how much the peak of the memory of another run of two steps lies above `idle`."""
    stop, seen = Event(), [0.0]

    def watch():
        while not stop.wait(0.002):
            seen.append(memory())

    watcher = Thread(target=watch)
    watcher.start()
    solver = "compiled" if "compiled" in method else "numpy"
    from_disk(folder, 2) if method == "disk" else laptop(folder, 2, solver)
    stop.set()
    watcher.join()
    return max(seen) - idle


def limited(folder, method, megabytes):
    """Fit two steps with so many megabytes for data, and say whether they were enough."""
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20,) * 2)
    try:
        from_disk(folder, 2) if method == "disk" else laptop(folder, 2, "numpy")
        print("goes through")
    except MemoryError:
        print("ends in a MemoryError")


def measure(largest):
    """Measure all, write `DATA`, and return what a limit on the memory does at the largest size."""
    with open(DATA, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for n in [size for size in (10**5, 10**6, 10**7) if size <= largest]:
            with TemporaryDirectory() as folder:
                command = [sys.executable, __file__, str(n), folder]
                subprocess.run([*command, "prepare"], check=True)
                for method in METHODS:
                    numbers = map(float, answer([*command, method]).split())
                    writer.writerow([method, n, *(f"{x:.3g}" for x in numbers)])
                both = [f"{how} {answer([*command, how, LIMIT])}" for how in ("disk", "laptop")]
    return f"With {LIMIT} MB for data and {n:,} ratings: {both[0]}, {both[1]}."


def answer(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def table(largest=10**7):
    """Yield the lines of a table of what `measure` finds."""
    limits = measure(largest)
    head = ["engine", "ratings", "start-up", "first step", "a step", "busiest", "driver"]
    yield "| " + " | ".join([*head, "a step took", "travel of V, U", "memory"]) + " |"
    yield "|---|" + "--:|" * 9
    with open(DATA, encoding="utf-8") as file:
        for method, n, *seconds, travel_V, travel_U, megabytes in list(csv.reader(file))[1:]:
            travel = f"{float(travel_V) / 1e6:.3g}, {float(travel_U) / 1e6:.3g} MB"
            times = " | ".join(f"{second} s" for second in seconds)
            yield f"| {method} | {int(n):,} | {times} | {travel} | {float(megabytes):.0f} MB |"
    yield f"\n{limits}"


def main():
    with threadpool_limits(1):
        if len(sys.argv) > 2:
            n, folder, method = int(sys.argv[1]), *sys.argv[2:4]
            if method == "prepare":
                prepare(n, folder)
            elif len(sys.argv) > 4:
                limited(folder, method, int(sys.argv[4]))
            else:
                print(*cell(method, n, folder))
            return
        for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else 10**7):
            print(line, flush=True)


if __name__ == "__main__":
    main()
