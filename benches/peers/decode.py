"""Decoders against scikit-learn: agreement and speed.

    decode.py TARGET_DIR agree
    decode.py TARGET_DIR speed

TARGET_DIR holds the built examples decode_agree and decode_permutations.
`agree` exits with an error at the first disagreement. `speed` times a
permutation test (labels shuffled, cross-validation refitted) of one session
pair in both programs, on one core each.
"""
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"

import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestCentroid
from sklearn.svm import SVC

target = Path(sys.argv[1])


def example(name, *arguments, text=None):
    command = [str(target / "examples" / name), *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def ours(kind, parameter, x, labels):
    """Decision values (trial, pair), biases, coefficients (trial, pair)."""
    text = "\n".join(",".join(map(repr, [int(l), *map(float, row)])) for l, row in zip(labels, x))
    lines = example("decode_agree", kind, parameter, text=text).split()
    rows = np.array([[float(v) for v in line.split(",")] for line in lines])
    n = len(labels)
    return rows[:n], rows[n], rows[n + 1:]


def problems():
    """Noise, overlap, separable classes, a large baseline, few cells, more classes, unequal classes."""
    rng = np.random.default_rng(1)
    for cells in (3, 40, 300, 3000):
        for classes in (2, 4):
            for effect in (0.0, 0.4) if cells < 3000 else (0.1,):
                labels = rng.permutation(np.arange(80) % classes)
                centres = rng.normal(size=(classes, cells)) * effect
                yield f"{cells} cells, {classes} classes, effect {effect}", rng.normal(size=(80, cells)) + centres[labels], labels
    # Like calcium events: sparse, skewed, correlated through shared gain, unequal classes.
    labels = (rng.random(120) < 0.3).astype(int)
    gain = rng.gamma(2.0, 0.5, size=(120, 1))
    tuning = rng.gamma(0.5, 1.0, size=(2, 500))
    events = rng.poisson(gain * tuning[labels]) * rng.gamma(3.0, 0.3, size=(120, 500))
    yield "sparse events", events, labels
    yield "with a baseline", events * 0.1 + 5.0, labels


def objective(weights, norm):
    """The dual, which both solvers maximise."""
    return np.abs(weights).sum() - 0.5 * norm


def agree():
    worst = dict(svm=0.0, objective=0.0, logistic=0.0, discriminant=0.0)
    for name, x, labels in problems():
        pairs = list(combinations(np.unique(labels), 2))
        gram = x @ x.T
        for c in (0.01, 1.0):
            decision, bias, weights = ours("svm", c, x, labels)
            logistic, _, _ = ours("logistic", c, x, labels)
            for k, (a, b) in enumerate(pairs):
                inside = np.isin(labels, (a, b))
                signs = np.where(labels[inside] == a, 1.0, -1.0)
                machine = SVC(kernel="linear", C=c, tol=1e-7).fit(x[inside], signs)
                theirs = machine.decision_function(x[inside])
                mine = decision[inside, k]
                clear = np.abs(theirs) > 1e-3
                assert (np.sign(theirs[clear]) == np.sign(mine[clear])).all(), (name, c, "decisions")
                values = (
                    objective(weights[:, k], weights[:, k] @ gram @ weights[:, k]),
                    objective(machine.dual_coef_, float((machine.coef_ ** 2).sum())),
                )
                worst["svm"] = max(worst["svm"], np.abs(mine - theirs).max())
                worst["objective"] = max(worst["objective"], 1 - values[0] / values[1])
                machine = LogisticRegression(C=c, tol=1e-10, max_iter=20000, solver="lbfgs")
                theirs = machine.fit(x[inside], signs).decision_function(x[inside])
                worst["logistic"] = max(worst["logistic"], np.abs(theirs - logistic[inside, k]).max())
        for shrinkage in (0.2, 0.9):
            mine, _, _ = ours("discriminant", shrinkage, x, labels)
            machine = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x, labels)
            theirs = machine.decision_function(x)
            if len(pairs) == 1:
                theirs = np.stack([-theirs, 0 * theirs], 1)
            theirs = np.stack([theirs[:, a] - theirs[:, b] for a, b in pairs], 1)
            difference = np.abs(mine - theirs).max() / np.abs(theirs).max()
            worst["discriminant"] = max(worst["discriminant"], difference)
        mine, _, _ = ours("template", 1, x, labels)
        votes = np.stack([np.where(mine[:, k] >= 0, a, b) for k, (a, b) in enumerate(pairs)], 1)
        mine = [np.bincount(row).argmax() for row in votes]
        assert (mine == NearestCentroid().fit(x, labels).predict(x)).all(), (name, "template")
    print(f"SVC: same decisions; worst difference {worst['svm']:.1e}, objective {worst['objective']:.1e} below theirs")
    print(f"LogisticRegression: worst difference of decision values {worst['logistic']:.1e}")
    print(f"LinearDiscriminantAnalysis: worst relative difference {worst['discriminant']:.1e}")
    print("NearestCentroid: same labels")
    assert worst["objective"] < 1e-4 and worst["svm"] < 1e-2, worst
    assert worst["logistic"] < 1e-3 and worst["discriminant"] < 1e-6, worst


def speed(cells=73_307, trials=200, folds=5, theirs=2, mine=200):
    rng = np.random.default_rng(2)
    labels = np.arange(trials) % 2
    x = rng.normal(size=(trials, cells)).astype(np.float32)
    x += 0.05 * labels[:, None] * rng.normal(size=cells).astype(np.float32)
    start = time.perf_counter()
    for permutation in range(theirs):
        shuffled = rng.permutation(labels)
        predicted = np.empty(trials, int)
        for train, test in StratifiedKFold(folds, shuffle=True, random_state=permutation).split(x, shuffled):
            predicted[test] = SVC(kernel="linear", C=1).fit(x[train], shuffled[train]).predict(x[test])
        balanced_accuracy_score(shuffled, predicted)
    loop = (time.perf_counter() - start) / theirs
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "x.npy", x)
        np.save(Path(folder) / "labels.npy", labels.astype(np.int64))
        fixed, each, p = map(float, example("decode_permutations", folder, folds, mine).split())
    total = fixed + 1000 * each
    runs = 196 * 4
    print(f"{cells} cells, {trials} trials, {folds} folds, one core")
    print(f"scikit-learn: {loop:.3g} s a permutation, {1000 * loop:.0f} s for 1000")
    print(f"fluorspar: {fixed:.3g} s once and {each:.3g} s a permutation, {total:.2f} s for 1000 (p = {p:.3g})")
    print(f"ratio {1000 * loop / total:.0f}")
    print(f"196 pairs, 4 epochs, 1000 permutations: scikit-learn {runs * 1000 * loop / 86400:.1f} days")


{"agree": agree, "speed": speed}[sys.argv[2]]()
