"""The exercises of lesson 7: bytes, Amdahl's law, sums that travel, and a load that is not even."""

import numpy as np

from mflib.exercises.base import (
    Exercise,
    Mistake,
    mistakes_with,
    one_decimal,
    same_where,
)
from mflib.least_squares import solve_rows

# 1. Bytes by hand

bytes_by_hand = Exercise(
    solution=(16, 0.8, 0.002),
    praise="V is eight thousand times smaller than the ratings: send V, and leave them where they "
    "are.",
    hint="give three numbers in GB: 8 bytes times the ratings, and 4 bytes times the numbers in U "
    "and in V.",
    mistakes=[
        Mistake((16, 0.002, 0.8), "U and V are swapped: U has a row for each person."),
        Mistake((0.8, 0.002, 16), "the order: ratings, U, V."),
        Mistake((16, 0.2, 0.0005), "U and V are counted in numbers; each takes 4 bytes."),
        Mistake((16, 1.6, 0.004), "a number in U or V takes 4 bytes here, not 8."),
        Mistake((16, 0.08, 0.0002), "each row of U and V has k = 10 numbers, not one."),
        Mistake((2, 0.8, 0.002), "each rating takes 8 bytes: 4 for its column, 4 for its value."),
        Mistake((24, 0.8, 0.002), "the row is not stored with each rating: 8 bytes, not 12."),
        *mistakes_with(
            "the numbers are asked for in GB, 10⁹ bytes.",
            (16e9, 0.8e9, 0.002e9),
            (16_000, 800, 2),
        ),
        Mistake(
            (4e6, 0.8, 0.002),
            "only the ratings that exist are stored, not a place for each pair.",
            lambda answer: np.shape(answer) == (3,) and answer[0] > 1e3 and answer[1] == 0.8,
        ),
    ],
    variants=[[16.0, 0.8, 0.002], np.array([2e9 * 8, 2e7 * 10 * 4, 5e4 * 10 * 4]) / 1e9],
)


# 2. Amdahl by hand

amdahl_by_hand = Exercise(
    solution=(5, 10),
    praise="Nine machines give five, and the next thousand give less than another five.",
    hint="give the pair (speed-up on 9 machines, what no number of machines exceeds). The time on "
    "p machines is 1 + 9/p seconds.",
    mistakes=[
        Mistake((10, 5), "the two are swapped: 9 machines first."),
        Mistake((9, 10), "with 9 machines only the 9 seconds become 1; the other second stays."),
        Mistake((5, 9), "without end of machines, 1 of the 10 seconds is left: that is the limit."),
        Mistake((9, 9), "one second is never shared: 10/(1 + 9/9), and 10/1."),
        Mistake((2, 1), "those are the seconds; a speed-up is the time before over the time now."),
        Mistake((0.2, 0.1), "upside down: the time before over the time now."),
        Mistake((5, np.inf), "one second is never shared, so there is a limit."),
        Mistake((10 / (1 + 10 / 9), 10), "9 of the 10 seconds are shared, not all 10."),
        Mistake((9, np.inf), "one second is never shared: it sets a limit."),
    ],
    variants=[[5, 10], np.array([10 / (1 + 9 / 9), 10 / 1])],
)


# 3. Write it

_TWO_MACHINES = (np.array([[[5.0]], [[9.0]]]), np.array([[5.0], [6.0]]), np.array([2, 1]), 1.0)


def _draw_sums(rng):
    """Yield what machines send of the raters of a film; one may have nobody, or too few."""
    for sizes in ((3, 5), (4,), (2, 0, 3), (1, 1, 6, 2)):
        for k in (1, 2, 4):
            blocks = [one_decimal(rng, size, k) for size in sizes]
            ratings = [np.round(rng.uniform(1, 5, size), 1) for size in sizes]
            yield (
                np.array([U.T @ U for U in blocks]),
                np.array([U.T @ x for U, x in zip(blocks, ratings, strict=True)]),
                np.array(sizes),
                round(float(rng.uniform(0.1, 2)), 1),
            )


def _solve(G, t, strength):
    return np.linalg.solve(G + strength * np.eye(len(G)), t)


def _column(grams, targets, counts, regularization):
    G, t, q = (np.sum(parts, axis=0) for parts in (grams, targets, counts))
    return _solve(G, t, regularization * q)


def _column_by_parts(grams, targets, counts, regularization):
    parts = zip(grams, counts, strict=True)
    G = sum(gram + regularization * n * np.eye(len(gram)) for gram, n in parts)
    return np.linalg.inv(G) @ sum(targets)


def _column_by_library(grams, targets, counts, regularization):
    G, k = np.einsum("bij->ij", grams), targets.shape[1]
    strength = regularization * np.sum(counts)
    return solve_rows((G + strength * np.eye(k))[None], targets.sum(axis=0)[None], strength)[0]


def _with_strength(strength):
    """Return the mistake of another strength than λ times the number of ratings."""
    return lambda grams, targets, counts, lam: _solve(
        grams.sum(axis=0), targets.sum(axis=0), strength(lam, counts)
    )


def _of_machine(place):
    return lambda grams, targets, counts, lam: _solve(
        grams[place], targets[place], lam * max(counts[place], 1)
    )


def _solutions(grams, targets, counts, lam):
    parts = zip(grams, targets, counts, strict=True)
    return np.array([_solve(G, t, lam * max(n, 1)) for G, t, n in parts])


def _mean_of_solutions(*case):
    return _solutions(*case).mean(axis=0)


def _mean_by_counts(*case):
    return np.average(_solutions(*case), axis=0, weights=case[2])


def _well_determined(grams, targets, counts, lam):
    return np.linalg.cond(grams.sum(axis=0)) < 1e6


column = Exercise(
    solution=_column,
    praise="Each machine sends ½k(k + 3) numbers, since G is symmetric, and a count, however many "
    "people it holds. That is how a film that everybody has rated is shared.",
    hint="add the Gram matrices, the targets and the numbers of ratings of all machines; then "
    "solve once, with λ times the number of all ratings on the diagonal.",
    cases=[_TWO_MACHINES],
    draw=_draw_sums,
    mistakes=[
        *mistakes_with(
            "each machine solves, and the solutions are averaged: a mean of solutions is not the "
            "solution. Add the sums first, and solve once.",
            _mean_of_solutions,
            _mean_by_counts,
        ),
        Mistake(
            _with_strength(lambda lam, counts: lam),
            "λ counts once for every rating (the weighting of Spark and of SGD): λ times the "
            "number of all ratings.",
        ),
        Mistake(
            _with_strength(lambda lam, counts: lam * len(counts)),
            "λ is added once for every machine; it counts once for every rating.",
        ),
        Mistake(
            _with_strength(lambda lam, counts: 0.0),
            "λ is forgotten: it belongs on the diagonal of the sum.",
            same_where(_well_determined, _with_strength(lambda lam, counts: 0.0)),
        ),
        Mistake(
            _with_strength(lambda lam, counts: -lam * counts.sum()),
            "the sign of λ: the penalty is added.",
        ),
        Mistake(
            _with_strength(lambda lam, counts: 2 * lam * counts.sum()),
            "λ has a factor 2 too many: both terms carry a ½, and it cancels.",
        ),
        *mistakes_with(
            "only one machine is heard; add the sums of all.", _of_machine(0), _of_machine(-1)
        ),
        Mistake(
            lambda grams, targets, counts, lam: _solve(
                grams.mean(axis=0), targets.mean(axis=0), lam * counts.sum()
            ),
            "the Gram matrices and the targets are averaged, and the ratings are counted in all: "
            "add all three.",
        ),
        Mistake(
            lambda grams, targets, counts, lam: np.linalg.solve(
                grams.sum(axis=0) + lam * counts.sum(), targets.sum(axis=0)
            ),
            "a number that is added to a matrix goes to every entry; it belongs on the diagonal: "
            "np.eye(k).",
        ),
        Mistake(
            lambda grams, targets, counts, lam: targets.sum(axis=0),
            "that is the sum of the targets alone; the system with the Gram matrices is still to "
            "be solved.",
        ),
        Mistake(
            lambda grams, targets, counts, lam: grams.sum(axis=0),
            "that is the sum of the Gram matrices; solve the system with it.",
        ),
        Mistake(
            _solutions,
            "those are the solutions of the machines; the film has one, from the sums of all.",
        ),
    ],
    variants=[_column_by_parts, _column_by_library],
)


# 4. Find the bug

_LOADS = [
    (np.array([100, 1, 1, 1]), np.array([0, 1, 0, 1])),
    (np.array([4, 4, 4, 4]), np.array([0, 1, 2, 3])),
    (np.array([6, 1, 2, 3]), np.array([1, 0, 0, 0])),
]


def _draw_loads(rng):
    """Yield the ratings of films, and the machine of each; a machine may have no film."""
    for n_films in (1, 5, 12, 40):
        for n_machines in (1, 2, 3, 7):
            counts = np.ceil(60 / np.arange(1, n_films + 1) ** rng.uniform(0.5, 1.5))
            yield (
                rng.permutation(counts).astype(int),
                rng.integers(n_machines, size=n_films),
            )


def _speed_up(counts, machines):
    return counts.sum() / np.bincount(machines, weights=counts).max()


def _speed_up_by_loop(counts, machines):
    loads = {}
    for count, machine in zip(counts, machines, strict=True):
        loads[machine] = loads.get(machine, 0) + count
    return sum(loads.values()) / max(loads.values())


def _speed_up_by_table(counts, machines):
    table = machines[None, :] == np.unique(machines)[:, None]
    return np.sum(counts) / (table @ counts).max()


speed_up = Exercise(
    solution=_speed_up,
    praise="All wait for the machine with the most ratings. One film of 100 among 103 ratings "
    "leaves two machines hardly faster than one.",
    hint="a machine's load is the sum of the counts of its films; the speed-up is the load of all "
    "over the largest load of one.",
    cases=_LOADS,
    draw=_draw_loads,
    mistakes=[
        Mistake(
            lambda counts, machines: len(counts) / np.bincount(machines).max(),
            "films are counted, not their ratings: weigh each film by its count.",
        ),
        *mistakes_with(
            "that is the number of machines, which an even load would give: all wait for the one "
            "with the most ratings.",
            lambda counts, machines: machines.max() + 1,
            lambda counts, machines: len(np.unique(machines)),
        ),
        Mistake(
            lambda counts, machines: counts.sum() / counts.max(),
            "that is the limit that the largest film sets; its machine may have other films too.",
        ),
        Mistake(
            lambda counts, machines: np.bincount(machines, weights=counts).max() / counts.sum(),
            "upside down: the load of all over the largest load of one.",
        ),
        Mistake(
            lambda counts, machines: np.bincount(machines, weights=counts).max(),
            "that is the largest load; divide the load of all by it.",
        ),
        Mistake(
            lambda counts, machines: (
                counts.sum() / np.bincount(machines, weights=counts)[np.unique(machines)].min()
            ),
            "that is the machine with the least to do; all wait for the one with the most.",
        ),
        Mistake(
            lambda counts, machines: counts.sum() / np.bincount(machines).max(),
            "the load below is a number of films, the one above a number of ratings.",
        ),
        Mistake(
            lambda counts, machines: (
                counts.sum() / np.bincount(machines, weights=counts)[machines[0]]
            ),
            "that is the load of one machine; the largest of all counts.",
        ),
        Mistake(
            lambda counts, machines: (
                counts.sum()
                - np.bincount(machines, weights=counts).max()
                + np.zeros_like(counts[0])
            ),
            "a speed-up is a quotient: the load of all over the largest load of one.",
        ),
    ],
    variants=[_speed_up_by_loop, _speed_up_by_table],
)
