"""What the explorers say is held against longer, independent computations at random settings."""

import re
from collections import Counter

import numpy as np
import pytest

from mflib.datasets import load_cluster_times
from mflib.explore.block import BlockExplorer
from mflib.explore.cluster import BY_U, BY_V, RATINGS, ClusterExplorer, measured_rates, table_of
from mflib.explore.completion_rank import CompletionRankExplorer, fits_of_all_ranks
from mflib.explore.eigenvalue import ANGLES, EigenvalueExplorer
from mflib.explore.embedding import EmbeddingExplorer, fitted_club
from mflib.explore.factorization import THREE, FactorizationExplorer
from mflib.explore.horizon import HorizonExplorer
from mflib.explore.loss import FLOOR, NOISES, LossExplorer, draw, truth
from mflib.explore.noise import NoiseExplorer, signal_and_noise
from mflib.explore.parts import NMF_PARTS, PartsExplorer, swimmers
from mflib.explore.power_iteration import PowerIterationExplorer
from mflib.explore.product import ProductExplorer
from mflib.explore.quadratic import STEEPEST, QuadraticExplorer
from mflib.explore.race import ALS, GRADIENT, SGD, WORK, RaceExplorer
from mflib.explore.rank import RankExplorer, decompose
from mflib.explore.traffic import SIMULTANEOUS, TrafficExplorer, traffic_data


def random_results(explorer_type, n=200, seed=0, **fixed):
    """Yield random settings of the controls, and what the explorer computes for them."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        settings = {
            name: control.values[rng.integers(len(control.values))]
            for name, control in explorer_type.controls.items()
        }
        settings |= fixed
        yield settings, explorer_type.compute(**settings)


def number(pattern, text):
    """Return the number that follows the pattern in the text."""
    return float(re.search(pattern + r"\D*?(-?[\d.,]*\d(e[-+]?\d+)?)", text)[1].replace(",", ""))


def test_power_iteration_goes_where_the_words_say():
    """A million steps, by squaring the matrix twenty times."""
    seen = Counter()
    for settings, result in random_results(PowerIterationExplorer):
        power = result.matrix / (np.abs(result.matrix).max() or 1)
        for _ in range(20):
            power = power @ power
            power = power / (np.abs(power).max() or 1)
        angle = np.radians(settings["angle"])
        end = power @ [np.cos(angle), np.sin(angle)]
        end = end / (np.hypot(*end) or 1)
        sine = abs(end[0] * result.eigenvectors[1, 0] - end[1] * result.eigenvectors[0, 0])
        seen[result.state] += 1
        if result.state in ("Start", "Converging", "Converging slowly", "Converged"):
            assert sine < 1e-6
        elif result.state == "Not converging":
            assert abs(np.trace(result.matrix)) < 1e-12
        else:
            assert result.angles[0] > 90 - 1e-6 or np.ptp(np.abs(result.eigenvalues)) < 1e-9
    assert len(seen) >= 3


def test_gradient_descent_on_a_quadratic_does_what_the_words_say():
    for settings, result in random_results(QuadraticExplorer):
        eta, beta = settings["learning_rate"], settings["momentum"]
        said = [float(x) for x in re.findall(r"by ([\d.e+-]+) along", result.message)]
        for curvature, factor in zip(result.curvatures, said, strict=True):
            move = np.array([[1 + beta - eta * curvature, -beta], [1, 0]])
            measured = np.linalg.norm(np.linalg.matrix_power(move, 64), 2) ** (1 / 64)
            assert np.isclose(factor, measured, rtol=0.15, atol=1e-2)
        error = [1.0, 1.0]
        growth = max(said)
        assert ("onverging" in result.state) == (growth < 1)
        assert ("iverg" in result.state and "onverg" not in result.state) == (growth > 1)
        if abs(growth - 1) > 0.01:
            for _ in range(300):
                error = [error[1], (1 + beta - eta * STEEPEST) * error[1] - beta * error[0]]
            if max(said) == said[0]:
                assert (abs(error[1]) > 1) == (growth > 1)


def test_gradient_descent_on_a_product_ends_where_the_words_say():
    """Forty times as many steps, all runs at once."""
    cases = list(random_results(ProductExplorer))
    for u, v in ((3.0, 3.0), (1.0, -1.0), (0.0, 0.0), (2.5, 2.0), (2.0, 2.5), (-3.0, -3.0)):
        cases += random_results(ProductExplorer, 5, u=u, v=v, learning_rate=0.25)
    eta, u, v = (np.array([s[n] for s, _ in cases], float) for n in ("learning_rate", "u", "v"))
    losses = np.empty((16_000, len(cases)))
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(16_000):
            e = u * v - 5
            losses[n] = e**2 / 2
            u, v = u - eta * e * v, v - eta * e * u
    seen = Counter()
    for i, (_, result) in enumerate(cases):
        late, kind = losses[-4000:, i], result.state.split(" ")[0]
        seen[kind] += 1
        if kind == "Diverged":
            assert not late.max() < 1e6
        elif kind == "Stuck":
            assert u[i] == -v[i]
            assert np.isclose(late.min(), late.max())
            assert np.isclose(number("ends at", result.message), late[-1], rtol=5e-3)
        elif kind in ("Converged", "Converging"):
            assert late.max() < 1e-9
        elif kind == "On":
            assert late.max() < number(r"between [\d.e-]+ and", result.message)
        else:
            assert late.max() < 1e6
            assert late.max() > 1e-9
            assert eta[i] > 0.2
    assert {"Diverged", "Stuck", "Converged", "Oscillating"} <= set(seen)


def test_gradient_descent_on_traffic_does_what_the_words_say():
    """Four times as many steps, written out."""
    problem, critical, least = traffic_data()
    X, seen = problem.X, Counter()
    for settings, result in random_results(TrafficExplorer, 40):
        rng, scale = np.random.default_rng(1), settings["scale"]
        U, V = (scale * rng.random((side, 6)) for side in X.shape)
        eta, errors = settings["ratio"] * critical, []
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(401):
                E = U @ V.T - X
                errors.append(np.linalg.norm(E))
                if not errors[-1] < 1e9:
                    break
                old = U
                U = U - eta * E @ V
                if settings["updates"] == SIMULTANEOUS:
                    V = V - eta * E.T @ old
                else:
                    V = V - eta * (U @ V.T - X).T @ U
        kind = result.state.split(" ")[0]
        seen[kind] += 1
        if kind == "Diverged":
            assert not errors[-1] < 1e5
            assert len(errors) - 1 <= int(result.state.split(" ")[-1]) + 3
        elif kind != "Oscillating":  # chaos: other roundings, other numbers
            assert np.isclose(errors[100], number("the error is", result.message), rtol=1e-3)
        if kind == "Converging":
            assert least * (1 - 1e-9) <= errors[-1] <= errors[100] * (1 + 1e-6)
    assert {"Diverged", "Converging"} <= set(seen)


def test_the_states_do_what_the_words_about_their_eigenvalue_say():
    for settings, result in random_results(EigenvalueExplorer):
        r, n = settings["modulus"], settings["steps"]
        assert np.allclose(np.abs(np.linalg.eigvals(result.transition)), r)
        x = np.array([1.0, 0.0])
        lengths = [1.0]
        for _ in range(200):
            x = x @ result.transition
            lengths.append(np.hypot(*x))
        if r == 0:
            assert result.state == "Gone at once"
            assert lengths[1] == 0
            continue
        kind = "Fades" if lengths[-1] < 0.9 else "Explodes" if lengths[-1] > 1.1 else "Stays"
        assert result.state.startswith(kind)
        said = number("the length is", result.message)
        assert np.isclose(said, lengths[n], rtol=1e-2)
        if r != 1:
            steps = number(r"\|λ\|\)? = ", result.message.partition("ln 2/")[2])
            assert np.isclose(r**steps, 0.5 if r < 1 else 2, rtol=2e-2)
        angle = ANGLES.get(settings["rhythm"], settings["angle"])
        if 0 < angle < 180:
            period = number("° = ", result.message)
            assert np.isclose(period, 360 / angle, rtol=1e-2)


def test_the_sentence_about_noise_is_that_of_the_singular_values():
    for settings, result in random_results(NoiseExplorer):
        U, V, noise = signal_and_noise()
        k = settings["rank"]
        signal = (U[:, :k] * np.linspace(20, 5, max(k, 2))[:k]) @ V[:, :k].T
        left, values, right = np.linalg.svd(signal + settings["noise"] * noise)
        errors = [
            np.linalg.norm((left[:, :j] * values[:j]) @ right[:j] - signal) for j in range(81)
        ]
        threshold = number("The threshold", result.message)
        kept = int(number("keeps", result.message))
        assert np.sum(values > threshold * 1.05) <= kept <= np.sum(values > threshold * 0.95)
        found = {"Rank found": kept == k, "Components dropped": kept < k, "Noise kept": kept > k}
        assert found[result.state]
        for pattern, rank in (
            (r"keeps .*?: ", kept),
            (r"Your rank \d+ is ", settings["guess"]),
            (r"nearest is rank \d+, ", int(np.argmin(errors))),
        ):
            said = number(pattern, result.message)
            assert np.isclose(said, errors[rank], rtol=6e-3, atol=1e-5)


def test_the_sentence_about_a_photograph_is_that_of_its_pixels():
    for settings, result in random_results(RankExplorer, 60):
        picture = decompose(settings["name"])[0]
        left, values, right = np.linalg.svd(picture, full_matrices=False)
        k = settings["k"]
        rest = np.linalg.norm(picture - (left[:, :k] * values[:k]) @ right[:k])
        said = number("error", result.message)
        assert np.isclose(said, 100 * rest / np.linalg.norm(picture), atol=6e-3)
        assert number("stored", result.message) == k * (213 + 320 + 1)
        if result.state == "Compressed":
            assert np.isclose(number("value is", result.message), values[k], rtol=6e-3)
        assert (result.state in ("Exact", "No saving")) == (k * 534 >= 213 * 320)


def test_the_sentence_about_storage_counts_the_entries():
    for settings, result in random_results(FactorizationExplorer):
        (m, n), k = result.X.shape, settings["k"]
        middle = k if settings["factors"] == THREE else 0
        held = np.ones((m, k)).size + np.ones((k, n)).size + middle
        assert number(r"hold \d.*?=", result.message) == held
        assert abs(number("numbers,", result.message) - 100 * held / (m * n)) <= 0.0501
        assert result.state == ("Larger" if held > m * n else "Smaller" if k else "Nothing stored")
        rank = np.linalg.matrix_rank(result.X)
        assert ("product is X" in result.message) == (k >= rank)
        assert ("as it was at rank" in result.message) == (k > rank)
        if k > rank:
            assert number("as it was at rank", result.message) == rank


def test_the_fit_of_a_loss_is_as_far_from_the_truth_as_the_words_say():
    """The multiplicative updates of two losses, written out."""
    W0, H0 = truth()
    for settings, result in random_results(LossExplorer, 30):
        X = np.maximum(draw(settings["noise"], settings["strength"]), FLOOR)
        assert number(r"; ", result.message + "; 0 of") == np.sum(
            draw(settings["noise"], settings["strength"]) < FLOOR
        )
        rng = np.random.default_rng(1)
        W, H = rng.uniform(0.5, 1.5, (40, 2)), rng.uniform(0.5, 1.5, (2, 30))
        if settings["loss"] == "squared":
            for _ in range(150):
                W = W * (X @ H.T) / (W @ H @ H.T)
                H = H * (W.T @ X) / (W.T @ W @ H)
        elif settings["loss"] == "kullback-leibler":
            for _ in range(150):
                W = W * (X / (W @ H) @ H.T) / H.sum(axis=1)
                H = H * (W.T @ (X / (W @ H))) / W.sum(axis=0)[:, None]
        else:
            continue
        distance = np.linalg.norm(W @ H - W0 @ H0) / np.linalg.norm(W0 @ H0)
        assert np.isclose(number("updates end", result.message), 100 * distance, atol=0.06)
        assert (result.state == "Matching loss") == (NOISES[settings["noise"]] == settings["loss"])


def test_the_words_about_the_race_follow_its_curves():
    """Look at every hundredth of the work who is ahead, and change the lead by the rule."""
    for settings, result in random_results(RaceExplorer, 60):
        lead, best, leads = None, result.objectives[ALS][0], []
        for spent in np.arange(0, WORK + 1e-9, 0.01):
            for name in (ALS, SGD, GRADIENT):
                J = result.objectives[name][: int(spent / result.work[name] + 1e-9) + 1].min()
                if name == lead:
                    best = min(best, J)
                elif J * 1.01 < best:
                    lead, best = name, J
                    leads.append((spent, name))
        assert [name for _, name in leads] == [name for _, name in result.leads]
        for (at, _), (said, _) in zip(leads, result.leads, strict=True):
            assert abs(at - said) < 0.011
        spent = settings["spent"]
        for name, ratio, n in ((ALS, 0, 0), (SGD, 0, 0), (GRADIENT, 0, 0)):
            n = int(spent / result.work[name] + 1e-9)
            J = result.objectives[name]
            if n < len(J) and (found := re.search(rf"([\d.,]+) by {name} \(", result.message)):
                ratio = J[n] / J[0]
                assert np.isclose(
                    float(found[1].replace(",", "")),
                    ratio,
                    rtol=5e-2 if ratio > 10 else 1e-3,
                    atol=6e-4,
                )


def test_the_words_about_the_rank_of_a_completion_follow_its_errors():
    for settings, result in random_results(CompletionRankExplorer, 60):
        _, training, held_out = fits_of_all_ranks(settings["regularization"])
        k = settings["rank"]
        best = min(range(9), key=lambda j: round(held_out[j], 2))
        assert np.isclose(number("error", result.message), training[k], atol=6e-3)
        assert np.isclose(number("seen, ", result.message), held_out[k], atol=6e-3)
        if result.state != "No factors left":
            assert (result.state == "Best rank") == (k == best)
            assert (result.state == "Too simple") == (k < best)
            assert (result.state in ("No gain", "Overfitting")) == (k > best)


def test_the_neighbours_that_the_words_name_are_those_of_largest_cosine():
    club, model = fitted_club()
    unit = model.V_ / np.linalg.norm(model.V_, axis=1, keepdims=True)
    for settings, result in random_results(EmbeddingExplorer):
        film, n = settings["film"] - 1, settings["n_neighbours"]
        cosines = unit @ unit[film]
        cosines[film] = -2
        nearest = np.argsort(-cosines)[:n]
        places = [result.message.index(f" {club.titles[j]} ({cosines[j]:.2f})") for j in nearest]
        assert places == sorted(places)
        same = sum(bool((club.genres[j] & club.genres[film]).any()) for j in nearest)
        assert result.state.startswith(f"{same} of {n} share")


def test_the_words_about_forecasts_compare_the_errors_of_the_curves():
    for settings, result in random_results(HorizonExplorer):
        error = result.model[settings["rank"] - 1, settings["horizon"] - 1]
        best = min(errors[settings["horizon"] - 1] for errors in result.baselines.values())
        assert np.isclose(number("error of", result.message), error, atol=0.06)
        change = error / best - 1
        expected = (
            "Level" if abs(change) < 0.02 else "Model wins" if change < 0 else "Baseline wins"
        )
        assert result.state == expected


@pytest.mark.parametrize("k", [1, 7, 13, 15, 16, 20])
def test_the_parts_that_the_words_count_are_single_limbs(k):
    images, true, *_ = swimmers()
    for method in PartsExplorer.controls["method"].values:
        result = PartsExplorer.compute(k, method)
        found = 0
        for limb in true:
            outside = np.abs(result.parts[:, limb == 0]).max(axis=1)
            found += bool((result.limbs & (outside < 0.5)).any())
        said = result.state.split(" ")[0]
        assert (0 if said == "None" else int(said)) <= found
        values = np.linalg.svd(images, compute_uv=False)
        least = np.sqrt(np.sum(values[k:] ** 2) / np.sum(values**2))
        assert result.error >= least - 1e-7
        assert (method == NMF_PARTS) == ("negative" not in result.message) or k == 1
    if k >= 16:
        assert PartsExplorer.compute(k, NMF_PARTS).state == "16 of 16 limbs found"


def test_the_words_about_machines_are_those_of_a_count():
    """Ratings and rows are dealt out to machines one by one, at small sizes scaled up."""
    times = load_cluster_times()
    for settings, result in random_results(ClusterExplorer):
        p, k, kind = (settings[name] for name in ("workers", "k", "kind"))
        rate, fixed = measured_rates()
        ratings = RATINGS[settings["ratings"]]
        m, n = table_of(ratings)
        rows, others = (m, n) if kind == BY_V else (n, m)
        a_rating = sum(1 for i in range(k) for _ in range(i + 1)) + k
        a_row = k**3 / 6 + 3 * k**2 / 2
        computing = (ratings * a_rating + rows * a_row) / p / rate
        sums = n * a_rating
        everything = others * k if kind in (BY_V, BY_U) else sums
        travel = everything * (p - 1) / p * 4 / (settings["bandwidth"] * 1e6)
        total = computing + travel + fixed
        alone = (ratings * a_rating + rows * a_row) / rate + fixed
        for pattern, wanted in (
            (r"machines?: ", computing),
            (r"computing \+ ", travel),
            (r"travel \+ ", fixed),
            (r" = ", total),
            (r"= [\d.e+-]+ s, ", alone / total),
            (r"at least ", min(alone, fixed + 4e-6 * everything / settings["bandwidth"])),
        ):
            assert np.isclose(number(pattern, result.message), wanted, rtol=0.06), pattern
        assert result.totals.min() > 0.94 * number(r"at least ", result.message)
        for half, n in re.findall(r"([\d.]+) s with (\d)", result.message):
            worker = "1 worker" if n == "1" else f"{n} workers"
            took = times.elapsed[(times.engine == f"Spark, {worker}") & (times.ratings == ratings)]
            assert np.isclose(2 * float(half), took[0], rtol=0.06)


def test_the_words_about_a_block_are_those_of_a_count():
    """The memory of blocks of ratings is added up until there is no more."""
    times = load_cluster_times()
    (one,) = np.flatnonzero((times.engine == "disk") & (times.ratings == 1e6))
    each = times.megabytes[one] * 1e6 - 4 * 16 * sum(table_of(1e6))
    for settings, result in random_results(BlockExplorer):
        total, memory = RATINGS[settings["ratings"]], 1e6 * settings["memory"]
        factors = sum(4 * 16 * rows for rows in table_of(total))
        block = each * min(1e6 * settings["millions"], total) / 1e6
        for pattern, wanted in (
            (r"U and V ", factors),
            (r"block ", block),
            (r" = ", factors + block),
        ):
            assert np.isclose(1e6 * number(pattern, result.message), wanted, rtol=0.006), pattern
        fitting = [n for n in np.geomspace(1, total, 500) if factors + n * each / 1e6 <= memory]
        if not fitting:
            assert "no block is small enough" in result.message
        elif fitting[-1] == total:
            assert "all ratings fit at once" in result.message
        else:
            assert np.isclose(number("about ", result.message), fitting[-1], rtol=0.1)
