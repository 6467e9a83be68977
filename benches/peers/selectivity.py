"""Statistics of single cells beside NumPy, SciPy and scikit-learn.

    selectivity.py TARGET_DIR [full]

TARGET_DIR holds the built examples of fluorspar-drift. Exits with an error at
the first disagreement, then times 10,000 permutations of 200 trials; "full"
runs fluorspar on all 73,307 cells.
"""
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import mutual_info_score, roc_auc_score

target = Path(sys.argv[1]) / "examples"


def ours(*arguments, lines):
    text = "\n".join(",".join(repr(float(v)) for v in line) for line in lines)
    command = [str(target / "agree_single_cells"), *map(str, arguments)]
    out = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return np.array([[float(v) for v in line.split(",")] for line in out.splitlines()])


def d_prime(a, b, axis=-1):
    spread = np.sqrt((a.var(axis, ddof=1) + b.var(axis, ddof=1)) / 2)
    return (a.mean(axis) - b.mean(axis)) / spread


def effects():
    rng = np.random.default_rng(1)
    labels = (np.arange(60) % 3 == 0).astype(int)
    x = np.concatenate([
        rng.exponential(size=(40, 60)),
        rng.poisson(0.3, size=(40, 60)),
    ]).astype(np.float32).astype(float)
    x = x[(x.max(1) > 0)]
    found = ours("selectivity", 100, lines=[labels, *x])
    a, b = x[:, labels == 0], x[:, labels == 1]
    index = (a.mean(1) - b.mean(1)) / (a.mean(1) + b.mean(1))
    roc = [2 * roc_auc_score(1 - labels, row) - 1 for row in x]
    f = stats.f_oneway(a, b, axis=1).statistic
    eta = f / (f + 58)
    for name, column, theirs in [("index", 0, index), ("d'", 1, d_prime(a, b)), ("auROC", 2, roc), ("eta squared", 3, eta)]:
        worst = np.abs(found[:, column] - theirs).max()
        assert worst < 1e-9, (name, worst)
        print(f"{name}: worst difference {worst:.1e}")


def exact_p():
    """All labellings of 5 against 6 trials, counts with many ties among the cells."""
    rng = np.random.default_rng(2)
    labels = np.array([0] * 5 + [1] * 6)
    x = np.concatenate([rng.normal(size=(8, 11)), rng.poisson(0.7, size=(8, 11))])
    x = x[x.std(1) > 0].astype(np.float32).astype(float)
    draws = 20000
    found = ours("selectivity", draws, lines=[labels, *x])
    statistics = {
        "d'": (5, lambda a, b, axis=-1: np.abs(d_prime(a, b, axis))),
        "auROC": (6, lambda a, b, axis=-1: np.abs(stats.mannwhitneyu(a, b, axis=axis).statistic - 15)),
    }
    for name, (column, statistic) in statistics.items():
        worst = 0.0
        for row, cell in zip(found, x):
            exact = stats.permutation_test(
                (cell[:5], cell[5:]), statistic, alternative="greater", n_resamples=np.inf, vectorized=True
            ).pvalue
            error = abs(row[column] - exact) / np.sqrt(exact * (1 - exact) / draws + 1e-9)
            worst = max(worst, error)
        assert worst < 4.5, (name, worst)
        print(f"p of {name}: at most {worst:.1f} standard errors from scipy's exact test")


def orders():
    rng = np.random.default_rng(3)
    worst = 0.0
    for levels in (5, 20, 10000):
        x, y = rng.integers(levels, size=(2, 500))
        rho, tau = ours("order", lines=[x, y])[0]
        worst = max(worst, abs(rho - stats.spearmanr(x, y)[0]), abs(tau - stats.kendalltau(x, y)[0]))
    assert worst < 1e-12, worst
    print(f"Spearman and Kendall: worst difference {worst:.1e}")


def information():
    rng = np.random.default_rng(4)
    x, y = rng.integers(4, size=(2, 300))
    worst = abs(ours("information", lines=[x, (x + y) // 2])[0, 0] - mutual_info_score(x, (x + y) // 2) / np.log(2))
    assert worst < 1e-12, worst
    print(f"mutual information: difference {worst:.1e}")


def survival():
    rng = np.random.default_rng(5)
    duration, ended = rng.integers(1, 15, size=80), rng.random(80) < 0.6
    found = ours("survival", lines=[duration, ended])
    theirs = stats.ecdf(stats.CensoredData(uncensored=duration[ended], right=duration[~ended])).sf
    interval = theirs.confidence_interval(0.95)
    at = np.searchsorted(theirs.quantiles, found[:, 0])
    worst = np.abs(found[:, 1] - theirs.probabilities[at]).max()
    for column, side in [(2, interval.low), (3, interval.high)]:
        both = np.isfinite(found[:, column]) & np.isfinite(side.probabilities[at])
        worst = max(worst, np.abs(found[both, column] - side.probabilities[at][both]).max())
    assert worst < 1e-9, worst
    print(f"Kaplan-Meier and Greenwood interval: worst difference {worst:.1e}")


def speed():
    rng = np.random.default_rng(6)
    trials, all_cells, all_draws = 200, 73307, 10000
    labels = np.arange(trials) % 2

    def report(name, seconds, cells, draws):
        whole = seconds * all_cells / cells * all_draws / draws
        print(f"{name}: {seconds:.2f} s for {cells} cells, {draws} permutations; all: {whole:.0f} s")

    x = rng.random((7331, trials), dtype=np.float32)
    begun = time.perf_counter()
    observed = np.abs(d_prime(x[:, labels == 0], x[:, labels == 1]))
    reached = np.zeros(len(x), int)
    for _ in range(20):
        drawn = rng.permutation(labels)
        reached += np.abs(d_prime(x[:, drawn == 0], x[:, drawn == 1])) >= observed
    report("NumPy, a loop over permutations (d')", time.perf_counter() - begun, len(x), 20)

    x = x[:2000]
    begun = time.perf_counter()
    members = np.array([rng.permutation(labels) for _ in range(1000)], dtype=np.float32)
    centred = x - x.mean(1, keepdims=True)
    observed = np.abs(centred @ labels.astype(np.float32))
    reached = (np.abs(centred @ members.T) >= observed[:, None]).sum(1)
    report("NumPy, one product (difference of means)", time.perf_counter() - begun, len(x), 1000)

    few = x[:20]
    begun = time.perf_counter()
    stats.permutation_test(
        (few[:, labels == 0], few[:, labels == 1]), d_prime, n_resamples=1000, axis=1, vectorized=True, batch=100
    )
    report("scipy.stats.permutation_test (d')", time.perf_counter() - begun, 20, 1000)

    if sys.argv[2:] == ["full"]:
        print(subprocess.run([target / "selectivity_speed"], capture_output=True, text=True, check=True).stdout)


effects()
exact_p()
orders()
information()
survival()
speed()
